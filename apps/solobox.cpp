// The command-line tool.
#include "apps/tool.h"

int main(int argc, char** argv) { return solobox::tool(argc, argv); }
