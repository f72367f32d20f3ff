// The parts of a data set: train, val and test by the names of folders, parts joined to one set, and splits that the
// user says. Reads no labels.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

enum class Role { whole, train, val, test };

// By the first word of a folder's name: train, training; val, valid, validation, dev; test, testing, in any case
// ("Training_Images", "val2017"). Anything else is a whole set.
Role role_of(std::string_view folder);

// The folder of that role right below `dir`; "" when there is none. DataError naming both when there are two.
std::string part_below(const std::string& dir, Role role);

void sort_by_path(std::vector<Sample>& samples);  // byte order

// Splits `all` (sorted by path here) into train and the last `fraction` (rounded, at least 1 of 2 or more) as val, and
// says so in set.split.
void split_by_order(std::vector<Sample> all, double fraction, DataSet& set);

// One part, read with val_fraction = 0 so that nothing was split by order.
struct Part {
    DataSet set;
    Role role = Role::whole;
    std::string name;  // the folder, as messages show it
};

// One set of all parts: classes joined by name; validated on val, else on test; a third part is left out, and set.split
// says so. Whole parts keep their own splits; without any the joined set is split by order. by_part: by whole parts
// instead (frames of one video do not stand on both sides), the last ones. DataError when key points differ.
DataSet join_parts(std::vector<Part> parts, const OpenOptions& options, bool by_part);

// A set whose layouts were found: one of them as it is, or several with their roles joined. read(layout, options) gives
// a part, name(layout) is what messages call it.
template <class Layout, class Read, class Name>
DataSet read_layouts(const std::vector<Layout>& layouts, const OpenOptions& options, Read read, Name name) {
    if (layouts.size() == 1) return read(layouts[0], options);
    OpenOptions whole = options;
    whole.val_fraction = 0;
    std::vector<Part> parts;
    for (const Layout& l : layouts) parts.push_back({read(l, whole), l.role, name(l)});
    return join_parts(std::move(parts), options, false);
}

// What options.train_list, val_list and val_match say, in place of the split that there is; nothing when all are empty.
// With one list, the rest is the other part. DataError for names that no picture or several pictures have (skip_bad:
// counted), ConfigError for no regular expression or one that leaves a part empty.
void split_as_told(DataSet& set, const OpenOptions& options);

// Pictures that stand in both parts, as pairs of a train and a val path: one file under two names, or equal bytes.
std::vector<std::pair<std::string, std::string>> pictures_in_both(const std::vector<Sample>& train,
                                                                  const std::vector<Sample>& val);

}  // namespace solobox
