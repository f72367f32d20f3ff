// What is known of a training run: named numbers, texts and series, wherever they come from. A configuration, probes of
// the model, a run's tables or somebody else's log each fill in what they know; the rules (rules.h) read it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace solobox::doctor {

enum class FactKind { number, text, series, texts };

struct FactInfo {
    std::string name;  // "batch_per_step"; "train_term." stands for a family: train_term.box, train_term.giou
    FactKind kind = FactKind::number;
    std::string meaning;                    // with its unit
    std::vector<std::string> aliases = {};  // keys and columns of other programs that mean the same, in lower case
};

// Every fact there is, for docs/doctor.md, --fact, --columns and foreign files.
const std::vector<FactInfo>& fact_catalogue();
const FactInfo& fact_info(const std::string& name);  // ConfigError with the nearest name
// The fact that a key or column of another program is about, by name or alias; nullptr when none.
const FactInfo* find_fact(const std::string& key);

// By row: an epoch or a step each. A NaN is a gap; +-infinity is a value that was not finite, NaN ones included.
using Series = std::vector<double>;
using Texts = std::vector<std::string>;

class Facts {
public:
    void set(const std::string& name, double value) { values_[name] = value; }
    void set(const std::string& name, const std::string& value) { values_[name] = value; }
    void set(const std::string& name, Series value) { values_[name] = std::move(value); }
    void set(const std::string& name, Texts value) { values_[name] = std::move(value); }
    // What somebody says: "classes=5", lists with commas. ConfigError when it does not fit the fact.
    void set_word(const std::string& word);
    void set_text(const std::string& name, const std::string& value);

    bool has(const std::string& name) const { return values_.contains(name); }
    const double* number(const std::string& name) const { return get<double>(name); }
    const std::string* text(const std::string& name) const { return get<std::string>(name); }
    const Series* series(const std::string& name) const { return get<Series>(name); }
    const Texts* texts(const std::string& name) const { return get<Texts>(name); }
    // The members of a family, by what follows its name, in natural order: exit 8 before exit 10.
    std::vector<std::pair<std::string, const Series*>> family(const std::string& prefix) const;

    void merge(const Facts& other);  // where both know, `other` counts
    void forget(const std::string& name) { values_.erase(name); }

private:
    template <class T>
    const T* get(const std::string& name) const {
        const auto found = values_.find(name);
        return found == values_.end() ? nullptr : std::get_if<T>(&found->second);
    }
    std::map<std::string, std::variant<double, std::string, Series, Texts>> values_;
};

}  // namespace solobox::doctor
