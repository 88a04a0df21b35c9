#include "striate/commands/program.hpp"

int main(int argc, char** argv) { return striate::run_program(argc, argv); }
