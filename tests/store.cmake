striate_test(test_store_serial FILES unit/store_half.cpp unit/store_h5.cpp unit/store_reader.cpp ROOMS store)
