// Labels and texts as rows of a table of embeddings.
#include "model/sampling/condition.h"

#include <gtest/gtest.h>

#include "kernels/reference/reference.h"
#include "model/training/train_config.h"
#include "tests/model/expect_input_error.h"

namespace ddpm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const ConditionOptions kPets{.kind = ConditionKind::kClasses, .label_names = {"cat", "dog", "7"}};
const ConditionOptions kLooks{.kind = ConditionKind::kAttributes, .label_names = {"Bald", "Smiling", "Hat"}};

Labels pets() { return {LabelKind::kClasses, {"cat", "dog", "7"}, {2, 0}, {}}; }
Labels looks() { return {LabelKind::kAttributes, {"Bald", "Smiling", "Hat"}, {}, {0, 1, 0, 1, 1, 0}}; }

TEST(Condition, AClassIsOneOfItsColumnsAndNoConditionTheLast) {
  EXPECT_EQ(parse_condition(kPets, "dog"), (ConditionRow{0, 1, 0, 0}));
  EXPECT_EQ(parse_condition(kPets, "0"), (ConditionRow{1, 0, 0, 0}));
  EXPECT_EQ(parse_condition(kPets, "7"), (ConditionRow{0, 0, 1, 0})) << "a name before a number";
  EXPECT_EQ(no_condition(kPets), (ConditionRow{0, 0, 0, 1}));
  EXPECT_EQ(every_class(kPets)[2], (ConditionRow{0, 0, 1, 0}));
  EXPECT_EQ(every_class(kPets).size(), 3u);
}

TEST(Condition, AnAttributeIsSetOrNotSetOrNotSaid) {
  EXPECT_EQ(parse_condition(kLooks, "Smiling=1,Bald=0"), (ConditionRow{1, 0, 0, 1, 0, 0}));
  EXPECT_EQ(parse_condition(kLooks, "Hat=1"), (ConditionRow{0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(parse_condition(kLooks, "Hat=1,Hat=1"), parse_condition(kLooks, "Hat=1"));
  EXPECT_EQ(no_condition(kLooks), ConditionRow(6));
}

// What sampling says by name is what training said by label: the rows of the operation are the oracle.
TEST(Condition, RowsAreThoseThatTrainingGathers) {
  for (const auto& [options, labels] : {std::pair(kPets, pets()), std::pair(kLooks, looks())}) {
    LabelParams params = labels_shape(options);
    params.n = 1;
    params.dataset_count = 1;
    params.dropout = params.field_dropout = 0;
    const std::vector<float> table = label_table(options, labels);
    const int64_t step = 0;
    for (int64_t image = 0; image < 2; ++image) {
      ConditionRow row(static_cast<size_t>(params.columns()));
      reference::gather_labels<float>(params, {table.data() + image * params.fields, &step, row.data()});
      EXPECT_EQ(condition_of_image(options, labels, image), row);
    }
    params.dropout = 1;
    ConditionRow row(static_cast<size_t>(params.columns()));
    reference::gather_labels<float>(params, {table.data(), &step, row.data()});
    EXPECT_EQ(no_condition(options), row);
  }
}

TEST(Condition, WhatIsUnknownIsNamedWithWhatThereIs) {
  expect_input_error([] { parse_condition(kPets, "cow"); },
                     AllOf(HasSubstr("'cow'"), HasSubstr("cat, dog, 7"), HasSubstr("from 0 to 2")));
  expect_input_error([] { parse_condition(kPets, "3"); }, HasSubstr("'3'"));
  expect_input_error([] { parse_condition(kLooks, "Smilling=1"); },
                     AllOf(HasSubstr("'Smilling'"), HasSubstr("Bald, Smiling, Hat")));
  expect_input_error([] { parse_condition(kLooks, "Smiling"); }, HasSubstr("Smiling=1 or Smiling=0"));
  expect_input_error([] { parse_condition(kLooks, "Smiling=2"); }, HasSubstr("Smiling=1 or Smiling=0"));
  expect_input_error([] { parse_condition(kLooks, "Smiling=1,Smiling=0"); }, HasSubstr("both 0 and 1"));
}

TEST(Condition, NamesComeFromTheDataSet) {
  EXPECT_EQ(with_names_of({.kind = ConditionKind::kClasses}, pets(), "pets.npy").label_names, pets().names);
  Labels unnamed = pets();
  unnamed.names.clear();
  EXPECT_EQ(with_names_of({.kind = ConditionKind::kClasses}, unnamed, "pets.npy").label_names,
            (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_TRUE(with_names_of({}, pets(), "pets.npy").label_names.empty());
}

TEST(Condition, LabelsThatDoNotFitAreRefused) {
  const ConditionOptions classes{.kind = ConditionKind::kClasses};
  expect_input_error([&] { with_names_of(classes, {}, "plain.npy"); },
                     AllOf(HasSubstr("plain.npy"), HasSubstr("no labels")));
  expect_input_error([&] { with_names_of(classes, looks(), "faces.npy"); },
                     AllOf(HasSubstr("kind attributes"), HasSubstr("condition = classes")));
  Labels others = pets();
  others.names[1] = "cow";
  expect_input_error([&] { with_names_of(kPets, others, "pets.npy"); }, HasSubstr("trained with cat, dog"));
  others.names[1] = "a,b";
  expect_input_error([&] { with_names_of(classes, others, "pets.npy"); }, HasSubstr("'a,b'"));
}

TEST(Condition, SizesTheNetworksTable) {
  const TrainConfig config =
      with_labels(make_train_config({{"preset", "demo"}, {"condition", "attributes"}}), looks());
  EXPECT_EQ(config.network.class_embedding, ClassEmbedding::kTable);
  EXPECT_EQ(config.network.num_class_embeds, 6);
  EXPECT_EQ(make_train_config(to_settings(config)).network, config.network) << "as from a checkpoint";
  expect_input_error(
      [] {
        with_labels(make_train_config(
                        {{"condition", "classes"}, {"class_embedding", "table"}, {"num_class_embeds", "3"}}),
                    pets());
      },
      AllOf(HasSubstr("num_class_embeds = 3"), HasSubstr("4 rows")));
}

}  // namespace
}  // namespace ddpm
