#pragma once
/// STRIATE_CLONES before a function: one source, compiled for every instruction set; which clone runs depends on the CPU
/// alone. In vectors of a fixed width the lanes, and so the order of summation, are the same in each.
/// Clones go by what a CPU can do: those by name (arch=haswell) are for Intel's alone, others would get the slowest.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define STRIATE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define STRIATE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define STRIATE_CLONES
#endif
