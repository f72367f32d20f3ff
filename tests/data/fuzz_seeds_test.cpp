// The seeds of the fuzzer, and what it once found, through every parser: none may crash, hang or throw anything but
// solobox's own errors.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/fuzz/parsers.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;

TEST(FuzzSeeds, EveryParserTakesOrRefusesThem) {
    const fs::path home = fs::path(SOLOBOX_SOURCE_DIR) / "tests/fuzz/seeds";
    for (const auto& [folder, own] : fuzz::parsers()) {
        int seeds = 0;
        for (const auto& entry : fs::directory_iterator(home / folder)) {
            std::ifstream in(entry.path(), std::ios::binary);
            const std::string bytes{std::istreambuf_iterator<char>(in), {}};
            ++seeds;
            // Cut and bent, they reach further than as they are.
            for (const auto& [name, parser] : fuzz::parsers())
                EXPECT_NO_THROW(parser(bytes)) << entry.path() << " as " << name;
            for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 60)
                EXPECT_NO_THROW(own(std::string_view(bytes).substr(0, cut))) << entry.path() << " cut at " << cut;
            for (std::size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 60) {
                std::string bent = bytes;
                bent[at] = static_cast<char>(bent[at] ^ (1 << (at % 8)));
                EXPECT_NO_THROW(own(bent)) << entry.path() << " bent at " << at;
            }
        }
        EXPECT_GE(seeds, 2) << folder;
    }
}

}  // namespace
}  // namespace solobox
