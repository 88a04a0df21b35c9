// Every way a network file or a request can be wrong: one line that says what, where and how to mend it.
#include "net_test.hpp"

using namespace striate;
using namespace striate::testing;

namespace {

void open_file(fs::path const& file, std::string const& layer, std::size_t height = 8) {
  Network const network(file, {{layer, layer}}, input_of(height, height), {.device = "cpu"});
}
void open_small(std::string const& file, std::string const& layer) { open_file(golden(file), layer); }

}  // namespace

TEST(NetErrors, FilesThatAreNoTorchScript) {
  TempDir const dir;
  expect_error([&] { open_file(dir / "none.ts.pt", "a"); }, Exit::no_input, "none.ts.pt does not exist");
  expect_error([&] { open_file(dir.path(), "a"); }, Exit::no_input, "is a folder");
  struct Case {
    std::string bytes, what;
  };
  for (auto const& c : std::vector<Case>{{"", "empty"},
                                         {std::string("\x89HDF\r\n\x1a\n", 8) + std::string(100, '\0'), "HDF5"},
                                         {std::string("\x80\x02}q", 4) + std::string(60, '\x01'), "a pickle"},
                                         {"name: alexnet\nweights: a\n", "text"},
                                         {std::string("\xfd"
                                                      "7zXZ\0",
                                                      6) +
                                              std::string(60, '\x05'),
                                          "xz -dk"},
                                         {std::string("\x01\x02\x03", 3), "of no known kind"},
                                         {std::string("\x40\0\0\0\0\0\0\0{\"a\":1}", 15), "safetensors"}}) {
    write_file(dir / "file.pt", c.bytes);
    expect_error([&] { open_file(dir / "file.pt", "a"); }, Exit::data, c.what);
    expect_error([&] { open_file(dir / "file.pt", "a"); }, Exit::data, "tools/export_network.py");
  }
}

TEST(NetErrors, Archives) {
  TempDir const dir;
  expect_error([&] { open_small("checkpoint.pt", "a"); }, Exit::data, "a state_dict, without the network's code");
  expect_error([&] { open_small("checkpoint.pt", "a"); }, Exit::data, "--state-dict checkpoint.pt");
  std::ifstream in(golden("reused.scripted.ts.pt"), std::ios::binary);
  std::string const whole{std::istreambuf_iterator<char>(in), {}};
  write_file(dir / "cut.ts.pt", whole.substr(0, whole.size() / 2));
  expect_error([&] { open_file(dir / "cut.ts.pt", "first"); }, Exit::data, "cut off or corrupt");
  std::string broken = whole;  // inside the network's code or data
  for (std::size_t i = 600; i < 1200; ++i) broken[i] = 'x';
  write_file(dir / "broken.ts.pt", broken);
  expect_error([&] { open_file(dir / "broken.ts.pt", "first"); }, Exit::data, "broken.ts.pt");
}

TEST(NetErrors, FrozenFiles) {
  expect_error([] { open_small("frozen.ts.pt", "first"); }, Exit::data, "is frozen");
  expect_error([] { open_small("frozen.ts.pt", "first"); }, Exit::data, "without torch.jit.freeze");
  EXPECT_NO_THROW(open_small("frozen.ts.pt", "output"));
}

TEST(NetErrors, UnknownLayers) {
  expect_error([] { open_small("inplace.scripted.ts.pt", "feature.0"); }, Exit::data, "did you mean `features.0`?");
  expect_error([] { open_small("inplace.scripted.ts.pt", "zzzzzzzzzzzz"); }, Exit::data, "is no layer of inplace");
  expect_error([] { open_small("dicts.scripted.ts.pt", "earli"); }, Exit::data, "did you mean `early`?");
  expect_error([] { open_small("functional.scripted.ts.pt", "aten::rely"); }, Exit::data, "did you mean `aten::relu`?");
  expect_error([] { open_small("reused.scripted.ts.pt", "relu#x"); }, Exit::data, "number of the call");
}

TEST(NetErrors, CallsOfAModule) {
  expect_error([] { open_small("reused.scripted.ts.pt", "relu"); }, Exit::data,
               "relu is called 3 times in a pass; ask for relu#0 to relu#2");
  expect_error([] { open_small("reused.traced.ts.pt", "relu"); }, Exit::data, "ask for relu#0 to relu#2");
  expect_error([] { open_small("reused.scripted.ts.pt", "relu#3"); }, Exit::data, "the last is relu#2");
  expect_error([] { open_small("reused.scripted.ts.pt", "first#1"); }, Exit::data, "called 1 time in a pass");
  EXPECT_NO_THROW(open_small("reused.scripted.ts.pt", "first#0"));
  expect_error([] { open_small("branches.scripted.ts.pt", "step"); }, Exit::data, "called 3 times");
}

TEST(NetErrors, NeverExecuted) {
  expect_error([] { open_small("branches.scripted.ts.pt", "aux"); }, Exit::data, "aux is never executed");
  expect_error([] { open_small("branches.scripted.ts.pt", "no"); }, Exit::data, "no is never executed");
  expect_error([] { open_small("awkward.scripted.ts.pt", "items"); }, Exit::data, "is a list of modules");
}

TEST(NetErrors, OutputsThatCannotBeStored) {
  expect_error([] { open_small("awkward.scripted.ts.pt", "sequence"); }, Exit::data, "its first axis is not the batch");
  expect_error([] { open_small("awkward.scripted.ts.pt", "count"); }, Exit::data, "gives no tensor but Int");
  expect_error([] { open_small("tuples.scripted.ts.pt", "pair:2"); }, Exit::data, "ask for :0 to :1");
  expect_error([] { open_small("tuples.scripted.ts.pt", "conv:1"); }, Exit::data, "its output is one tensor");
  expect_error([] { open_small("dicts.scripted.ts.pt", "output"); }, Exit::data, "ask for one of its keys");
}

TEST(NetErrors, InputsThatDoNotFit) {
  expect_error([] { open_small("two_inputs.scripted.ts.pt", "output"); }, Exit::data, "wants a further input `y`");
  expect_error([] { open_file(golden("views.scripted.ts.pt"), "fc", 9); }, Exit::data,
               "does not take an input of 3 × 9 × 9");
  expect_error(
      [] {
        Network(golden("views.scripted.ts.pt"), {{"fc", "fc"}}, input_of(8, 8), {.device = "cuda"});
      },
      torch_devices() > 0 ? Exit::ok : Exit::config, "device: cuda is asked for");
}

TEST(NetErrors, TheSinksOwnErrorComesThrough) {
  Network const network(golden("reused.scripted.ts.pt"), {{"first", "first"}}, input_of(8, 8), {});
  auto const pixels = golden_image(192);
  expect_error(
      [&] { network.forward(pixels.data(), 1, [](std::size_t, float const*) { fail(Exit::io, "disk full"); }); },
      Exit::io, "disk full");
  EXPECT_EQ(run(network, pixels, 1).size(), 1U);  // and the network can be used on
}
