#include <gtest/gtest.h>

#include "striate/par/together.hpp"

using namespace striate;

namespace {

/// What `together` throws when the ranks in `failing` fail, each with its own text and code.
Error thrown(std::vector<int> const& failing) {
  Comm const c = Comm::world();
  try {
    together(c, [&] {
      for (int r : failing)
        if (r == c.rank()) fail(r == 0 ? Exit::data : Exit::no_input, "file {} is bad", r);
    });
  } catch (Error const& e) {
    return e;
  }
  return Error(Exit::ok, "");
}

}  // namespace

TEST(Together, PassesWhereNobodyFails) { EXPECT_EQ(thrown({}).code(), Exit::ok); }

TEST(Together, FirstRankFails) {
  Error const e = thrown({0});
  EXPECT_EQ(e.code(), Exit::data);
  EXPECT_STREQ(e.what(), "file 0 is bad");
}

TEST(Together, LastRankFails) {
  int const last = Comm::world().size() - 1;
  Error const e = thrown({last});
  EXPECT_EQ(e.code(), last == 0 ? Exit::data : Exit::no_input);
  EXPECT_EQ(e.what(), "file " + std::to_string(last) + " is bad");
}

TEST(Together, LowestOfSeveralWins) {
  Error const e = thrown({2, 1, 0});
  EXPECT_EQ(e.code(), Exit::data);
  EXPECT_STREQ(e.what(), "file 0 is bad");
}

TEST(Together, KnowsOtherExceptions) {
  Comm const c = Comm::world();
  auto const code = [&](auto const& f) {
    try {
      together(c, f);
    } catch (Error const& e) {
      return e.code();
    }
    return Exit::ok;
  };
  EXPECT_EQ(code([] { throw std::bad_alloc(); }), Exit::limit);
  EXPECT_EQ(code([] { throw std::logic_error("bug"); }), Exit::internal);
  EXPECT_EQ(code([] { throw 5; }), Exit::internal);
}
