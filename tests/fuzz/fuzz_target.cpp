// One parser (SOLOBOX_FUZZ_PARSER) under libFuzzer: see scripts/fuzz.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/parsers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    solobox::fuzz::SOLOBOX_FUZZ_PARSER({reinterpret_cast<const char*>(data), size});
    return 0;
}
