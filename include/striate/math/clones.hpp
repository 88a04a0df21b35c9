#pragma once
/// STRIATE_CLONES before a function: one source, compiled for every instruction set; which clone runs depends on the CPU
/// alone. In vectors of a fixed width the lanes, and so the order of summation, are the same in each.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define STRIATE_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define STRIATE_CLONES
#endif
