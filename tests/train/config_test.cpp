// Configuration keys: what is taken, what is refused, what the refusal says, and that no locale changes any of it.
#include "train/config/config.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <clocale>
#include <fstream>
#include <locale>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "train/config/names.h"
#include "train/run/run.h"

namespace solobox {
namespace {

// What setting one key=value word says; "" when it is taken.
std::string complaint(const std::string& word) {
    Config config;
    try {
        config.set_words({word}, "command line");
    } catch (const ConfigError& e) {
        EXPECT_EQ(e.code(), ExitCode::usage);
        EXPECT_LT(std::string(e.what()).size(), 300U) << e.what();
        return e.what();
    }
    return "";
}

std::string value_of(const std::string& word) {
    Config config;
    config.set_words({word}, "command line");
    return config.at(word.substr(0, word.find('='))).value;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(EngineConfig, EveryDefaultIsAValueOfItsKey) {
    const Config config;
    for (const ConfigKey& k : config_schema()) {
        Config other;
        EXPECT_NO_THROW(other.set(k.name, k.default_value, "test")) << k.name;
        EXPECT_EQ(other.at(k.name).value, k.default_value) << k.name;
        EXPECT_EQ(config.at(k.name).origin, "default");
        EXPECT_TRUE(config.is_default(k.name));
        EXPECT_FALSE(k.meaning.empty()) << k.name;
        if (k.type == KeyType::integer || k.type == KeyType::number) {
            EXPECT_LT(k.min, k.max) << k.name;
        }
    }
    EXPECT_EQ(config.all().size(), config_schema().size());
}

TEST(EngineConfig, NamesAndAliasesAreUnique) {
    std::map<std::string, std::string> owners;
    for (const ConfigKey& k : config_schema()) {
        EXPECT_TRUE(owners.emplace(k.name, k.name).second) << k.name;
        for (const auto& alias : k.aliases) EXPECT_TRUE(owners.emplace(alias, k.name).second) << alias;
    }
    for (const auto& [name, owner] : owners) EXPECT_EQ(config_key(name).name, owner);
    EXPECT_EQ(config_key("imgsz").name, "image");
    EXPECT_EQ(config_key("batch_size").name, "batch");
    EXPECT_EQ(config_key("lr").name, "lr0");
}

TEST(EngineConfig, OneFormForEqualValues) {
    EXPECT_EQ(value_of("lr0=1e-4"), "0.0001");
    EXPECT_EQ(value_of("lr0=+0.0001"), "0.0001");
    EXPECT_EQ(value_of("lr0=1E-4"), "0.0001");
    EXPECT_EQ(value_of("lr0=1"), "1");
    EXPECT_EQ(value_of("lr0=1.0"), "1");
    EXPECT_EQ(value_of("lr0=-0"), "0");
    EXPECT_EQ(value_of("dropout=-0.0"), "0");
    EXPECT_EQ(value_of("seed=+007"), "7");
    EXPECT_EQ(value_of("seed=-0"), "0");
    EXPECT_EQ(value_of("seed=9000000000000000"), "9000000000000000");
    EXPECT_EQ(value_of("nesterov=true"), "true");
    EXPECT_EQ(value_of("optimizer=SGD"), "SGD");
    Config config;
    config.set("imgsz", "64", "command line");
    EXPECT_EQ(config.integer("image"), 64);
    config.set("lr0", "0.1", "command line");
    EXPECT_EQ(config.number("lr0"), 0.1);
}

TEST(EngineConfig, WordsThatAreNoNumbersAreRefused) {
    for (const char* bad : {"1e-4abc", "abc", "",     " 1",       "1 ",    "0,001", "0x10",  "1e",    "e5",
                            "--1",     "+-1", "-+1",  "++1",      "+",     "-",     ".",     "nan",   "NaN",
                            "-nan",    "inf", "-inf", "infinity", "1e999", "1_000", "1'000", "1.2.3", "\xD9\xA1"})
        EXPECT_TRUE(has(complaint(std::string("lr0=") + bad), "expected a number"))
            << bad << " -> " << complaint(std::string("lr0=") + bad);
    for (const char* bad : {"8abc", "8.0", "8e0", "", " 8", "8 ", "0x8", "+-8", "++8", "nan", "inf", "eight", "1,000"})
        EXPECT_TRUE(has(complaint(std::string("batch=") + bad), "expected a whole number"))
            << bad << " -> " << complaint(std::string("batch=") + bad);
    EXPECT_TRUE(has(complaint(std::string("lr0=0.1\0x", 9)), "expected a number"));
}

TEST(EngineConfig, ValuesOutOfRangeAreRefusedAsTyped) {
    EXPECT_TRUE(has(complaint("batch=-1"), "batch=-1: expected 1 to 65536"));
    EXPECT_TRUE(has(complaint("batch=0"), "batch=0"));
    EXPECT_TRUE(has(complaint("hidden=1234567"), "hidden=1234567: expected 1 to 65536")) << complaint("hidden=1234567");
    EXPECT_TRUE(has(complaint("lr0=-1e-9"), "lr0=-1e-9: expected 0 to 100"));
    EXPECT_TRUE(has(complaint("lr0=100.0000001"), "lr0=100.0000001"));
    EXPECT_TRUE(has(complaint("momentum=1"), "momentum=1"));
    EXPECT_EQ(complaint("image=8"), "");
    EXPECT_EQ(complaint("image=2048"), "");
    EXPECT_NE(complaint("image=7"), "");
    EXPECT_NE(complaint("image=2049"), "");
}

TEST(EngineConfig, HugeIntegersDoNotWrap) {
    for (const char* huge : {"9223372036854775807", "9223372036854775808", "18446744073709551616",
                             "18446744073709551624", "-9223372036854775809", "99999999999999999999999999999999"}) {
        EXPECT_TRUE(has(complaint(std::string("batch=") + huge), huge)) << huge;
        EXPECT_NE(complaint(std::string("seed=") + huge), "") << huge;
    }
    EXPECT_TRUE(has(complaint("seed=9223372036854775808"), "63 bits")) << complaint("seed=9223372036854775808");
    EXPECT_TRUE(has(complaint("batch=" + std::string(5000, '9')), "...")) << "a message stays short";
}

TEST(EngineConfig, FlagsAreExactAndChoicesButForCapitals) {
    for (const char* bad : {"1", "0", "yes", "True", "TRUE", "", "false "})
        EXPECT_TRUE(has(complaint(std::string("nesterov=") + bad), "expected true or false")) << bad;
    EXPECT_TRUE(has(complaint("optimizer=AdmW"), "did you mean 'AdamW'")) << complaint("optimizer=AdmW");
    Config lower;
    lower.set("optimizer", "adamw", "test");  // as people write it
    EXPECT_EQ(lower.text("optimizer"), "AdamW");
    EXPECT_TRUE(has(complaint("optimizer=lion"), "AdamW, Adam, SGD"));
    EXPECT_NE(complaint("norm="), "");
}

TEST(EngineConfig, UnknownKeysGetTheNearestName) {
    EXPECT_TRUE(has(complaint("imag=32"), "unknown key 'imag': did you mean 'image'"));
    EXPECT_TRUE(has(complaint("imgae=32"), "did you mean 'image'"));
    EXPECT_TRUE(has(complaint("IMAGE=32"), "did you mean 'image'"));
    EXPECT_TRUE(has(complaint("optimiser=SGD"), "did you mean 'optimizer'"));
    EXPECT_TRUE(has(complaint("warmup=3"), "did you mean 'warmup_steps'"));
    EXPECT_TRUE(has(complaint("batchsize=3"), "did you mean 'batch_size'"));
    EXPECT_FALSE(has(complaint("quetzalcoatl=3"), "did you mean"));
    for (const char* any : {"imag=32", "quetzalcoatl=3"}) EXPECT_TRUE(has(complaint(any), "solobox config --schema"));
    EXPECT_TRUE(has(complaint("image"), "expected key=value"));
    EXPECT_TRUE(has(complaint("=3"), "expected key=value"));
    EXPECT_TRUE(has(complaint(" image=64"), "unknown key"));
    EXPECT_FALSE(has(complaint("\x1b[31mred\r\n=1"), "\x1b")) << "nothing from outside reaches the terminal raw";
    EXPECT_FALSE(has(complaint("lr0=\x1b[31m"), "\x1b"));
}

TEST(EngineConfig, AKeyTwiceIsAnErrorUnderAnyOfItsNames) {
    Config config;
    EXPECT_THROW(config.set_words({"batch=4", "batch=4"}, "command line"), ConfigError);
    Config other;
    try {
        other.set_words({"image=64", "norm=none", "imgsz=32"}, "command line");
        FAIL() << "image and imgsz are one key";
    } catch (const ConfigError& e) {
        EXPECT_TRUE(has(e.what(), "image=64") && has(e.what(), "imgsz=32")) << e.what();
    }
}

TEST(EngineConfig, EveryValueKnowsItsOrigin) {
    Config config;
    config.set("norm", "none", "model default");
    config.set_words({"lr=0.5", "norm=batch"}, "command line");
    EXPECT_EQ(config.at("lr0").origin, "command line (as lr)");
    EXPECT_EQ(config.at("norm").origin, "command line");
    EXPECT_EQ(config.at("norm").value, "batch");
    EXPECT_FALSE(config.is_default("norm"));
    EXPECT_TRUE(config.is_default("image"));
    config.set("image", config.at("image").value, "overfit");
    EXPECT_FALSE(config.is_default("image")) << "set to its default is set";
    EXPECT_THROW(config.at("imgsz"), Error) << "reading goes by the canonical name";
}

TEST(EngineConfig, ARefusedValueChangesNothing) {
    Config config;
    EXPECT_THROW(config.set("batch", "-1", "command line"), ConfigError);
    EXPECT_EQ(config.at("batch").value, "8");
    EXPECT_TRUE(config.is_default("batch"));
}

TEST(EngineConfig, YamlHoldsEveryKeyItsValueAndItsOrigin) {
    Config config;
    config.set_words({"lr0=1e-7", "norm=none", "nesterov=true", "seed=12"}, "command line");
    const std::string text = config.to_yaml();
    const YAML::Node yaml = YAML::Load(text);
    ASSERT_TRUE(yaml.IsMap());
    EXPECT_EQ(yaml.size(), config_schema().size());
    Config again;
    for (const auto& [key, value] : config.all()) {
        ASSERT_TRUE(yaml[key]) << key;
        EXPECT_EQ(yaml[key].as<std::string>(), value.value) << key;
        again.set(key, yaml[key].as<std::string>(), value.origin);
    }
    EXPECT_EQ(again.to_yaml(), text);
    EXPECT_TRUE(has(text, "lr0: 1e-07  # command line\n")) << text;
    EXPECT_TRUE(has(text, "image: 128  # default\n"));
}

TEST(EngineConfig, TheSchemaNamesEveryKeyAndAlias) {
    const std::string text = schema_text();
    const auto json = nlohmann::json::parse(schema_json());
    ASSERT_EQ(json.at("keys").size(), config_schema().size());
    for (const ConfigKey& k : config_schema()) {
        EXPECT_TRUE(has(text, k.name));
        EXPECT_TRUE(has(text, k.meaning));
        for (const auto& alias : k.aliases) EXPECT_TRUE(has(text, alias));
    }
}

TEST(EngineConfig, NearestNames) {
    EXPECT_EQ(did_you_mean("conv2", {"conv2d", "linear"}), ": did you mean 'conv2d'?");
    EXPECT_EQ(did_you_mean("sigmiod", {"softmax", "sigmoid"}), ": did you mean 'sigmoid'?");
    EXPECT_EQ(did_you_mean("CONV2D", {"conv2d"}), ": did you mean 'conv2d'?");
    EXPECT_EQ(did_you_mean("nosuch", {"conv2d", "linear"}), "");
    EXPECT_EQ(did_you_mean("", {"a", "conv2d"}), "");
    EXPECT_EQ(did_you_mean("x", {"box", "lr"}), "") << "nothing of it is right";
    EXPECT_EQ(did_you_mean("abc", {}), "");
}

struct CommaPoint : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};

TEST(EngineConfig, NoLocaleChangesAnything) {
    const auto everything = [] {
        Config config;
        config.set_words({"lr0=0.0015", "seed=1234567", "weight_decay=0"}, "command line");
        std::string all = config.to_yaml() + schema_text() + schema_json() + number_text(1234567.25) +
                          number_text(1e-9) + complaint("lr0=0,5") + complaint("lr0=1234567.5");
        return all + fmt::format("{}", config.number("lr0") * 1e6);
    };
    const std::string plain = everything();
    const std::locale before = std::locale::global(std::locale(std::locale::classic(), new CommaPoint));
    const std::string old_c = std::setlocale(LC_ALL, nullptr);
    for (const char* name : {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8"})
        if (std::setlocale(LC_ALL, name)) break;
    EXPECT_EQ(everything(), plain);
    std::setlocale(LC_ALL, old_c.c_str());
    std::locale::global(before);
}

TEST(Schema, ThePageInTheDocsIsItsOwn) {
    std::ifstream in(SOLOBOX_SOURCE_DIR "/docs/configuration.md");
    const std::string page{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(page, schema_markdown()) << "solobox config --schema --markdown > docs/configuration.md";
}

}  // namespace
}  // namespace solobox
