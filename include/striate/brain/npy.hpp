#pragma once
/// NumPy's files, of which brains and their maps may be.
#include "striate/store/npy.hpp"
