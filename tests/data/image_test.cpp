// Pictures: right pixels from good files, refusals for broken ones, orientation, resizing, and the encoders.
#include "data/image/image.h"

#include <zlib.h>

#include <cmath>
#include <cstring>

#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using namespace fixtures;

// ---- PNG bytes by hand
// -----------------------------------------------------------------------------------------------

std::string be32(std::uint32_t v) {
    return {static_cast<char>(v >> 24U), static_cast<char>(v >> 16U), static_cast<char>(v >> 8U), static_cast<char>(v)};
}

std::string chunk(const std::string& type, const std::string& body) {
    const std::string summed = type + body;
    const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(summed.data()), static_cast<uInt>(summed.size()));
    return be32(static_cast<std::uint32_t>(body.size())) + summed + be32(static_cast<std::uint32_t>(crc));
}

std::string deflate_text(const std::string& raw) {
    uLongf size = compressBound(static_cast<uLong>(raw.size()));
    std::string out(size, '\0');
    compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
              static_cast<uLong>(raw.size()), 9);
    out.resize(size);
    return out;
}

const std::string signature("\x89PNG\r\n\x1A\n");

std::string header(std::uint32_t w, std::uint32_t h, int depth, int colour, int interlace = 0) {
    return chunk("IHDR", be32(w) + be32(h) +
                             std::string{static_cast<char>(depth), static_cast<char>(colour), 0, 0,
                                         static_cast<char>(interlace)});
}

// 3x1 grey picture 10, 20, 30 with a place for extra chunks.
std::string tiny_png(const std::string& extra = "", const std::string& raw = std::string("\0\x0A\x14\x1E", 4)) {
    return signature + header(3, 1, 8, 0) + extra + chunk("IDAT", deflate_text(raw)) + chunk("IEND", "");
}

std::string refuse(const std::string& bytes) {
    return refusal([&] { decode_image(bytes, "x.png"); });
}

TEST(DataImage, PngOfOurOwnComesBackToTheBit) {
    for (const auto& [w, h] : {std::pair(1, 1), {7, 5}, {64, 3}, {3, 200}}) {
        const Image image = ramp(w, h);
        const Image back = decode_image(text_of(encode_png(image)), "ramp.png");
        EXPECT_EQ(back.width, w);
        EXPECT_EQ(back.height, h);
        EXPECT_EQ(back.rgb, image.rgb);
    }
}

TEST(DataImage, PngGreySixteenBitsPaletteAndBits) {
    EXPECT_EQ(decode_image(tiny_png(), "x").rgb, (std::vector<std::uint8_t>{10, 10, 10, 20, 20, 20, 30, 30, 30}));
    const std::string deep = signature + header(1, 1, 16, 2) +
                             chunk("IDAT", deflate_text(std::string("\0\x01\xFF\x80\x00\xFF\x01", 7))) +
                             chunk("IEND", "");
    EXPECT_EQ(decode_image(deep, "x").rgb, (std::vector<std::uint8_t>{1, 128, 255}));
    const std::string alpha = signature + header(1, 1, 8, 6) +
                              chunk("IDAT", deflate_text(std::string("\0\x09\x08\x07\x00", 5))) + chunk("IEND", "");
    EXPECT_EQ(decode_image(alpha, "x").rgb, (std::vector<std::uint8_t>{9, 8, 7}));  // transparent, colour kept
    const std::string bits =
        signature + header(3, 1, 1, 0) + chunk("IDAT", deflate_text(std::string("\0\xA0", 2))) + chunk("IEND", "");
    EXPECT_EQ(decode_image(bits, "x").rgb, (std::vector<std::uint8_t>{255, 255, 255, 0, 0, 0, 255, 255, 255}));
    const auto palette = [&](const std::string& plte) {
        return signature + header(2, 1, 2, 3) + plte + chunk("IDAT", deflate_text(std::string("\0\x40", 2))) +
               chunk("IEND", "");
    };
    EXPECT_EQ(decode_image(palette(chunk("PLTE", "abcdef")), "x").rgb,
              (std::vector<std::uint8_t>{'d', 'e', 'f', 'a', 'b', 'c'}));
    EXPECT_TRUE(has(refuse(palette(chunk("PLTE", "abc"))), "palette of 1"));
    EXPECT_TRUE(has(refuse(palette("")), "PLTE"));
}

TEST(DataImage, PngInterlacedIsTheSamePicture) {
    // Adam7 of a 3x2 picture with values 1..6: passes in order hold (0,0) (2,0) (1,0) and then row 1.
    const std::string raw(
        "\0\x01"
        "\0\x03"
        "\0\x02"
        "\0\x04\x05\x06",
        10);
    const std::string bytes = signature + header(3, 2, 8, 0, 1) + chunk("IDAT", deflate_text(raw)) + chunk("IEND", "");
    const Image image = decode_image(bytes, "x");
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(image.rgb[3 * i], i + 1);
}

TEST(DataImage, PngFlawsAreRefused) {
    const std::string good = tiny_png();
    EXPECT_TRUE(has(refuse(good.substr(0, good.size() - 12)), "IEND"));
    for (std::size_t cut = 8; cut < good.size(); ++cut) refuse(good.substr(0, cut));
    for (std::size_t i = 8; i < good.size();
         ++i) {  // one flipped bit anywhere: a checksum, a length or a type is wrong
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 1);
        refuse(bad);
    }
    EXPECT_TRUE(has(refuse(tiny_png("", std::string("\0\x0A\x14", 3))), "ends before"));
    EXPECT_TRUE(has(refuse(tiny_png("", std::string("\0\x0A\x14\x1E", 4) + std::string(200000, 'x'))), "longer than"));
    EXPECT_TRUE(has(refuse(tiny_png("", std::string("\x07\x0A\x14\x1E", 4))), "filter"));
    EXPECT_TRUE(has(refuse(tiny_png(header(3, 1, 8, 0))), "IHDR"));
    EXPECT_TRUE(has(refuse(tiny_png(chunk("ABCD", ""))), "ABCD"));
    EXPECT_TRUE(has(refuse(tiny_png(chunk("tRNS", "x"))), "tRNS"));
    EXPECT_TRUE(has(refuse(signature + header(0, 1, 8, 0) + chunk("IDAT", "") + chunk("IEND", "")), "0"));
    EXPECT_TRUE(has(refuse(signature + header(9, 9, 4, 2) + chunk("IEND", "")), "does not exist"));
    EXPECT_TRUE(has(refuse(signature + header(70000, 1, 8, 0) + chunk("IDAT", "") + chunk("IEND", "")), "limit"));
    // A header of 60 megapixels on 20 bytes of data is seen through before memory is spent.
    EXPECT_TRUE(
        has(refuse(signature + header(10000, 6000, 8, 2) + chunk("IDAT", deflate_text("x")) + chunk("IEND", "")),
            "cannot hold"));
    EXPECT_EQ(decode_image(tiny_png(chunk("teXt", "hello")), "x").width, 3);
    EXPECT_EQ(decode_image(good + "after the end", "x").width, 3);
}

// ---- JPEG
// ------------------------------------------------------------------------------------------------------------

double worst_difference(const Image& a, const Image& b) {
    int worst = 0;
    for (std::size_t i = 0; i < a.rgb.size(); ++i) worst = std::max(worst, std::abs(int{a.rgb[i]} - int{b.rgb[i]}));
    return worst;
}

Image smooth(int w, int h) {
    Image image = ramp(w, h);
    for (std::size_t i = 2; i < image.rgb.size(); i += 3) image.rgb[i] = 90;
    return image;
}

TEST(DataImage, JpegOfOurOwnComesBackAlmost) {
    for (const auto& [w, h] : {std::pair(1, 1), {40, 30}, {17, 65}}) {
        const Image image = smooth(w, h);
        const Image back = decode_image(text_of(encode_jpeg(image, 95)), "ramp.jpg");
        ASSERT_EQ(back.width, w);
        ASSERT_EQ(back.height, h);
        EXPECT_LT(worst_difference(image, back), 24);
    }
}

TEST(DataImage, JpegCutAnywhereIsRefused) {
    const std::string good = text_of(encode_jpeg(smooth(40, 30), 80));
    for (std::size_t cut = 0; cut < good.size(); ++cut) refusal([&] { decode_image(good.substr(0, cut), "cut.jpg"); });
    // Even with an end marker glued on again, the missing blocks are noticed.
    const std::size_t scan = good.find("\xFF\xDA") + 14;
    for (std::size_t cut = scan; cut + 8 < good.size(); ++cut) {
        if (good[cut - 1] == '\xFF') continue;
        EXPECT_TRUE(has(refusal([&] { decode_image(good.substr(0, cut) + "\xFF\xD9", "cut.jpg"); }), "damaged JPEG"));
    }
    EXPECT_EQ(decode_image(good + "trailing bytes", "x").width, 40);
}

TEST(DataImage, JpegMarkersAreChecked) {
    const std::string good = text_of(encode_jpeg(smooth(16, 16), 80));
    const auto patched = [&](std::string_view marker, std::size_t offset, char value) {
        std::string bytes = good;
        bytes[bytes.find(marker) + offset] = value;
        return refusal([&] { decode_image(bytes, "p.jpg"); });
    };
    EXPECT_TRUE(has(patched("\xFF\xC0", 4, 12), "12 bits"));
    EXPECT_TRUE(has(patched("\xFF\xC0", 1, '\xC3'), "lossless"));
    EXPECT_TRUE(has(patched("\xFF\xC0", 1, '\xC9'), "arithmetic"));
    EXPECT_TRUE(has(patched("\xFF\xC0", 5, '\x7F'), "damaged"));   // height 32528: too little data
    EXPECT_TRUE(has(patched("\xFF\xC0", 14, 0x33), "sampling"));   // 3x3 beside 2x2
    EXPECT_TRUE(has(patched("\xFF\xC0", 12, 3), "quantization"));  // a table that never comes
    EXPECT_TRUE(has(patched("\xFF\xC4", 5, '\xFF'), "Huffman"));   // 255 codes of one bit
    EXPECT_TRUE(has(patched("\xFF\xDA", 5, 9), "component 9"));
    EXPECT_TRUE(has(patched("\xFF\xDA", 6, 0x33), "Huffman table is missing"));
    std::string stray = good;
    stray.insert(stray.find("\xFF\xC0"), "garbage");
    EXPECT_TRUE(has(refusal([&] { decode_image(stray, "s.jpg"); }), "stray"));
}

TEST(DataImage, FlippedBitsGiveTheSameAnswerTwice) {
    const std::string good = text_of(encode_jpeg(smooth(24, 24), 60));
    int decoded = 0, refused = 0;
    for (std::size_t i = 2; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
        try {
            EXPECT_EQ(decode_image(bad, "b").rgb, decode_image(bad, "b").rgb);
            ++decoded;
        } catch (const DataError&) {
            ++refused;
        }
    }
    EXPECT_GT(refused, 50);
    EXPECT_GT(decoded, 0);  // e.g. other quantization: a picture, if not this one
}

// ---- BMP
// -------------------------------------------------------------------------------------------------------------

std::string le(std::uint64_t v, std::size_t n) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i, v = v >> 8U) out += static_cast<char>(v);
    return out;
}

std::string bmp(std::int32_t w, std::int32_t h, int bits, int compression, const std::string& between,
                const std::string& pixels) {
    const std::string head = le(40, 4) + le(static_cast<std::uint32_t>(w), 4) + le(static_cast<std::uint32_t>(h), 4) +
                             le(1, 2) + le(static_cast<std::uint64_t>(bits), 2) +
                             le(static_cast<std::uint64_t>(compression), 4) + std::string(20, '\0');
    return "BM" + le(0, 8) + le(14 + head.size() + between.size(), 4) + head + between + pixels;
}

TEST(DataImage, BmpKindsAndFlaws) {
    const std::string two_rows(
        "\1\2\3\0"
        "\4\5\6\0",
        8);
    EXPECT_EQ(decode_image(bmp(1, 2, 24, 0, "", two_rows), "x").rgb,
              (std::vector<std::uint8_t>{6, 5, 4, 3, 2, 1}));  // bottom up
    EXPECT_EQ(decode_image(bmp(1, -2, 24, 0, "", two_rows), "x").rgb,
              (std::vector<std::uint8_t>{3, 2, 1, 6, 5, 4}));  // top down
    EXPECT_EQ(decode_image(bmp(2, 1, 1, 0, std::string("\1\2\3\0\4\5\6\0", 8), std::string("\x40\0\0\0", 4)), "x").rgb,
              (std::vector<std::uint8_t>{3, 2, 1, 6, 5, 4}));
    const std::string masks = le(0xF800, 4) + le(0x7E0, 4) + le(0x1F, 4);
    EXPECT_EQ(decode_image(bmp(1, 1, 16, 3, masks, std::string("\x1F\xF8\0\0", 4)), "x").rgb,
              (std::vector<std::uint8_t>{255, 0, 255}));
    const auto refused = [](const std::string& bytes) { return refusal([&] { decode_image(bytes, "x.bmp"); }); };
    EXPECT_TRUE(has(refused(bmp(1, 2, 24, 0, "", two_rows.substr(0, 5))), "cut off"));
    EXPECT_TRUE(has(refused(bmp(1, 2, 8, 1, "", two_rows)), "run-length"));
    EXPECT_TRUE(has(refused(bmp(1, 2, 24, 4, "", two_rows)), "JPEG inside"));
    EXPECT_TRUE(has(refused(bmp(1, 2, 7, 0, "", two_rows)), "7 bits"));
    EXPECT_TRUE(has(refused(bmp(1, std::numeric_limits<std::int32_t>::min(), 24, 0, "", two_rows)), "limit"));
    EXPECT_TRUE(has(refused(bmp(0, 2, 24, 0, "", two_rows)), "0 x 2"));
    EXPECT_TRUE(has(refused(bmp(1, 1, 16, 3, le(0, 12), two_rows)), "bit field"));
}

// ---- names, limits, headers
// ------------------------------------------------------------------------------------------

TEST(DataImage, OtherKindsAreRefusedByName) {
    const auto message = [](std::string_view bytes) { return refusal([&] { decode_image(bytes, "dir/a.jpg"); }); };
    EXPECT_TRUE(has(message("GIF89a......"), "dir/a.jpg: GIF is not supported: convert it to PNG or JPEG"));
    EXPECT_TRUE(has(message("RIFF....WEBPVP8 "), "WebP"));
    EXPECT_TRUE(has(message("P6\n1 1\n255\nabc"), "PNM"));
    EXPECT_TRUE(has(message(""), "empty"));
    EXPECT_TRUE(has(message(std::string(100, '\0')), "zero bytes"));
    EXPECT_TRUE(has(message("<!DOCTYPE html><html>"), "HTML"));
    EXPECT_TRUE(has(message("\xFF"), "not a picture"));
}

TEST(DataImage, FilesThatCannotBeRead) {
    const TemporaryDirectory dir;
    EXPECT_TRUE(has(refusal([&] { read_image(dir / "absent.png"); }), "No such file"));
    EXPECT_TRUE(has(refusal([&] { read_image(dir.path()); }), "Is a directory"));
    EXPECT_TRUE(has(refusal([&] { image_info(dir / "absent.png"); }), "absent.png"));
    EXPECT_FALSE(has(refusal([&] { read_image(dir / "a\x1B[31m"); }), "\x1B"));
}

TEST(DataImage, LimitsHoldBeforeDecoding) {
    const std::string bytes = text_of(encode_png(ramp(20, 10)));
    ImageLimits limits;
    limits.max_pixels = 199;
    EXPECT_TRUE(has(refusal([&] { decode_image(bytes, "x", limits); }), "limit"));
    limits.max_pixels = 200;
    EXPECT_EQ(decode_image(bytes, "x", limits).width, 20);
    limits.max_side = 19;
    EXPECT_TRUE(has(refusal([&] { decode_image(bytes, "x", limits); }), "limit"));
}

// An APP1 block with the orientation, in either byte order.
std::string with_exif(const std::string& jpeg, int orientation, bool little) {
    const auto number = [&](unsigned v, std::size_t n) {
        std::string out = le(v, n);
        return little ? out : std::string(out.rbegin(), out.rend());
    };
    const std::string tiff = std::string(little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(1, 2) +
                             number(0x112, 2) + number(3, 2) + number(1, 4) +
                             number(static_cast<unsigned>(orientation), 2) + number(0, 2) + number(0, 4);
    const std::string body = std::string("Exif\0\0", 6) + tiff;
    return jpeg.substr(0, 2) + "\xFF\xE1" + be32(static_cast<std::uint32_t>(body.size() + 2)).substr(2) + body +
           jpeg.substr(2);
}

TEST(DataImage, ExifOrientationTurnsPixelsAndBoxesAlike) {
    // The object: the only white block of a black picture.
    Image image{48, 32, std::vector<std::uint8_t>(48 * 32 * 3, 0)};
    for (int y = 8; y < 16; ++y)
        for (int x = 24; x < 48; ++x)
            for (int c = 0; c < 3; ++c) image.rgb[static_cast<std::size_t>((y * 48 + x) * 3 + c)] = 255;
    const std::string plain = text_of(encode_jpeg(image, 100));
    for (int orientation = 1; orientation <= 8; ++orientation) {
        SCOPED_TRACE(orientation);
        const std::string bytes = with_exif(plain, orientation, orientation % 2 == 0);
        const ImageInfo info = parse_image_info(bytes, "x");
        EXPECT_EQ(info.orientation, orientation);
        EXPECT_EQ(info.stored_width, 48);
        const Image upright = decode_image(bytes, "x");
        ASSERT_EQ(upright.width, orientation >= 5 ? 32 : 48);
        ASSERT_EQ(upright.width, info.width);
        ASSERT_EQ(upright.height, info.height);
        const Object box = orient_object({0, 24, 8, 48, 16, false}, orientation, 48, 32);
        for (int y = 0; y < upright.height; ++y)
            for (int x = 0; x < upright.width; ++x) {
                const bool bright = upright.rgb[static_cast<std::size_t>((y * upright.width + x) * 3)] > 127;
                const bool inside = x >= box.x1 && x < box.x2 && y >= box.y1 && y < box.y2;
                ASSERT_EQ(bright, inside) << x << "," << y;
            }
    }
    EXPECT_EQ(parse_image_info(with_exif(plain, 0, true), "x").orientation, 1);
    EXPECT_EQ(parse_image_info(with_exif(plain, 9, true), "x").orientation, 1);
}

TEST(DataImage, ExifSixIsAQuarterTurnClockwise) {
    const Image upright = apply_orientation({2, 1, {1, 1, 1, 2, 2, 2}}, 6);  // left pixel goes to the top
    EXPECT_EQ(upright.width, 1);
    EXPECT_EQ(upright.rgb, (std::vector<std::uint8_t>{1, 1, 1, 2, 2, 2}));
    const Image eight = apply_orientation({2, 1, {1, 1, 1, 2, 2, 2}}, 8);
    EXPECT_EQ(eight.rgb, (std::vector<std::uint8_t>{2, 2, 2, 1, 1, 1}));
}

TEST(DataImage, HeaderBehindALongThumbnailIsFound) {
    const std::string plain = text_of(encode_jpeg(smooth(30, 20), 80));
    const std::string block = "\xFF\xE2\xFF\xFF" + std::string(65533, 'x');
    const TemporaryDirectory dir;
    const std::string path = dir.write("long.jpg", plain.substr(0, 2) + block + block + plain.substr(2));
    EXPECT_EQ(image_info(path).width, 30);
    EXPECT_EQ(read_image(path).height, 20);
}

// ---- out again
// -------------------------------------------------------------------------------------------------------

TEST(DataImage, Base64) {
    EXPECT_EQ(base64({}), "");
    EXPECT_EQ(base64({'M'}), "TQ==");
    EXPECT_EQ(base64({'M', 'a'}), "TWE=");
    EXPECT_EQ(base64({'M', 'a', 'n'}), "TWFu");
    EXPECT_EQ(base64({0xFF, 0xFE, 0xFD, 0xFC}), "//79/A==");
}

TEST(DataImage, WritePng) {
    const TemporaryDirectory dir;
    write_png(dir / "a.png", ramp(5, 4));
    EXPECT_EQ(read_image(dir / "a.png").rgb, ramp(5, 4).rgb);
    EXPECT_THROW(write_png(dir / "no/such/a.png", ramp(5, 4)), IoError);
    EXPECT_THROW(encode_png({2, 2, {1, 2, 3}}), ShapeError);
}

TEST(DataImage, ResizeAgainstNumbersByHand) {
    const std::vector<float> row = {0, 1, 2, 3};
    // 4 -> 2, antialias: triangle of support 2 around 1 and 3, cut at the edges: weights (1 3 3 1)/8 shifted.
    const auto shrunk = resize_bilinear(row, 1, 4, 1, 1, 2, true);
    EXPECT_NEAR(shrunk[0], (0.75F * 0 + 0.75F * 1 + 0.25F * 2) / 1.75F, 1e-6);
    EXPECT_NEAR(shrunk[1], (0.25F * 1 + 0.75F * 2 + 0.75F * 3) / 1.75F, 1e-6);
    const auto plain = resize_bilinear(row, 1, 4, 1, 1, 2, false);
    EXPECT_NEAR(plain[0], 0.5, 1e-6);
    EXPECT_NEAR(plain[1], 2.5, 1e-6);
    // 2 -> 4, half-pixel centres: 0, 0.25, 0.75, 1 either way.
    for (const bool antialias : {false, true}) {
        const auto grown = resize_bilinear({0, 1}, 2, 1, 1, 4, 1, antialias);
        EXPECT_NEAR(grown[0], 0, 1e-6);
        EXPECT_NEAR(grown[1], 0.25, 1e-6);
        EXPECT_NEAR(grown[2], 0.75, 1e-6);
        EXPECT_NEAR(grown[3], 1, 1e-6);
    }
    EXPECT_EQ(resize_bilinear(row, 2, 2, 1, 2, 2, true), row);
    EXPECT_THROW(resize_bilinear(row, 1, 3, 1, 2, 2, true), ShapeError);
}

TEST(DataImage, ToFloatSquare) {
    const Image blank{3, 7, std::vector<std::uint8_t>(63, 255)};
    for (const bool antialias : {false, true}) {
        const auto out = to_float(blank, 16, 16, antialias);
        ASSERT_EQ(out.size(), 16U * 16 * 3);
        for (const float v : out) EXPECT_NEAR(v, 1.0F, 1e-6);
    }
    const auto ramped = to_float(ramp(50, 40), 10, 10);
    EXPECT_LT(ramped[0], 0.1F);                     // red at the left
    EXPECT_GT(ramped[(9 * 10 + 9) * 3], 0.9F);      // and at the right
    EXPECT_GT(ramped[(9 * 10 + 0) * 3 + 1], 0.9F);  // green at the bottom left
    const Image small = resize_bilinear(ramp(50, 40), 10, 10);
    for (std::size_t i = 0; i < ramped.size(); ++i) EXPECT_NEAR(small.rgb[i], ramped[i] * 255, 0.51);
}

}  // namespace
}  // namespace solobox
