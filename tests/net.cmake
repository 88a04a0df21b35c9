striate_test(test_net_small FILES unit/net_small.cpp unit/net_errors.cpp unit/net_cards.cpp unit/net_self_test.cpp ROOMS net)
striate_test(test_engine_torch FILES unit/engine_torch.cpp ROOMS net models)
# Exports networks with /usr/bin/python3; says so and skips where that has no torch.
striate_test(test_net_torchvision FILES unit/net_torchvision.cpp ROOMS net TIMEOUT 900)
striate_test(test_net_pretrained FILES unit/net_pretrained.cpp ROOMS net TIMEOUT 600)
