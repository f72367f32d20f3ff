# Everything that is not ours comes from the system's packages (scripts/setup installs Debian's).
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(pugixml REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_path(OPENBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas REQUIRED)
find_library(OPENBLAS_LIBRARY openblas REQUIRED)
find_package(Protobuf REQUIRED)
find_path(ONNX_INCLUDE_DIR onnx/onnx_pb.h REQUIRED)
find_library(ONNX_LIBRARY onnx REQUIRED)
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
find_path(STB_INCLUDE_DIR stb/stb_image.h REQUIRED)

# What the library's sources need to compile and link; never part of its public headers (fmt alone is).
add_library(solobox_third_party INTERFACE)
target_link_libraries(solobox_third_party INTERFACE
  ${OPENBLAS_LIBRARY} pugixml::pugixml yaml-cpp ZLIB::ZLIB Threads::Threads)
add_library(solobox_dependencies INTERFACE)
target_include_directories(solobox_dependencies SYSTEM INTERFACE ${OPENBLAS_INCLUDE_DIR} ${STB_INCLUDE_DIR})
target_link_libraries(solobox_dependencies INTERFACE solobox_third_party nlohmann_json::nlohmann_json)

# Of the command-line tool alone.
add_library(solobox_onnx INTERFACE)
target_include_directories(solobox_onnx SYSTEM INTERFACE ${ONNX_INCLUDE_DIR})
target_compile_definitions(solobox_onnx INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
target_link_libraries(solobox_onnx INTERFACE ${ONNX_LIBRARY} ${ONNX_PROTO_LIBRARY} protobuf::libprotobuf)
