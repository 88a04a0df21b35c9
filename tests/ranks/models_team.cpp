// Every rank, sharing the factor work with the others, must hold the bits that one process computes alone.
#include "../unit/models_common.hpp"
#include "striate/par/comm.hpp"
#include "striate/par/team.hpp"

namespace striate {
namespace {

using namespace testing;

struct Setting {
  char const* model;
  std::size_t n, p;
  bool standardize;
  double pca;
  Selection selection = Selection::folds;
};

TEST(ModelsTeam, RanksAndThreadsDoNotChangeBits) {
  auto const alone = serial_team();
  for (int threads : {1, 2}) {
    auto const team = mpi_team(Comm::world(), threads);
    for (Setting const& s :
         {Setting{"ridge", 90, 20, true, 0}, Setting{"ridge", 90, 400, true, 0}, Setting{"ridge", 90, 400, false, 0},
          Setting{"ridge", 90, 20, true, 6}, Setting{"ridge", 90, 400, true, 9}, Setting{"ols", 90, 400, true, 0},
          Setting{"lasso", 90, 60, true, 0}, Setting{"elastic_net", 90, 400, true, 9},
          Setting{"ridge", 90, 20, true, 0, Selection::loo}, Setting{"ridge", 90, 400, true, 0, Selection::loo},
          Setting{"ridge", 90, 400, false, 9, Selection::gcv}}) {
      Problem const data(s.n, s.p, 50);
      ModelOptions o;
      o.alphas = {0.1, 1, 10, 100, 1e3, 1e4};
      o.predictions = o.coefficients = true;
      o.selection = s.selection;
      CvColumns columns;
      columns.rows = s.n;
      auto const plan = fold_plans({}, {}, columns)[1];
      auto const source = data.source();
      TileResult a, b;
      Workspace work;
      auto const model = find_model(s.model)->make(o);
      model->prepare({source, s.standardize, s.pca}, plan, *alone, plenty)->tile(data.responses(), a, work);
      auto const shared = model->prepare({source, s.standardize, s.pca}, plan, *team, plenty);
      shared->tile(data.responses(), b, work);
      EXPECT_TRUE(same_bits(a.score, b.score)) << s.model << " " << s.p << " threads " << threads;
      EXPECT_TRUE(same_bits(a.alpha, b.alpha));
      EXPECT_TRUE(same_bits(a.weights, b.weights));
      EXPECT_TRUE(same_bits(a.prediction, b.prediction));
    }
  }
}

}  // namespace
}  // namespace striate
