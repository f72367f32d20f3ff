#include "train/proof/parity.h"

#include "train/proof/ops_table.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

std::vector<double> numbers_of(const Tensor& t) {
    std::vector<double> out;
    for (std::int64_t i = 0; i < t.numel(); ++i) out.push_back(static_cast<double>(t[i]));
    return out;
}

}  // namespace

std::vector<std::string> row_names() {
    std::vector<std::string> names;
    for (const OpRow& row : ops_table()) names.push_back(row.name);
    return names;
}

std::vector<RowResult> evaluate_row(const std::string& name) {
    std::vector<RowResult> results;
    for (const OpRow& row : ops_table()) {
        if (row.name != name) continue;
        int number = 0;
        for (const OpCase& c : row.cases(2)) {
            const std::string label = fmt::format("{} {} ({})", name, number++, c.shapes);
            Tape tape;
            const Var y = c.run();
            Tensor upstream(y.shape());
            Random random({4, Stream::test, 0, 0, 9});
            for (std::int64_t i = 0; i < y.numel(); ++i)
                upstream.mutable_data()[i] = static_cast<Real>(static_cast<float>(random.normal()));
            tape.backward({{y, upstream}});
            results.push_back({label + " output", numbers_of(y.value())});
            for (std::size_t i = 0; i < c.inputs.size(); ++i)
                results.push_back({fmt::format("{} grad {}", label, i), numbers_of(c.inputs[i]->grad)});
            for (const auto& p : c.more)
                results.push_back({fmt::format("{} grad {}", label, p.name), numbers_of(p.param->grad)});
        }
    }
    return results;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
