// What a network is told about an image beside the time: one of K classes, or which of A attributes it
// has; and how that becomes a row of ones and zeros, the input of the table of embeddings
// (ClassEmbedding::kTable).
//
// classes: a column for each class and a last one for "no condition". A row has a single one, so the table is
// what
//   PyTorch calls nn.Embedding(K + 1), in the layout that diffusers' num_class_embeds = K + 1 has.
// attributes: two columns for each, 2a for "not set" and 2a + 1 for "set". A row has a one for each attribute
// that
//   something is said about, and its embedding is the sum of theirs. With a single column "not set" would be
//   the same as "not said": nothing could be guided away from an attribute, and the attributes that a user
//   leaves open would count as absent. No condition is the row of zeros.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/labels.h"
#include "kernels/labels.h"

namespace ddpm {

enum class ConditionKind : uint8_t { kNone, kClasses, kAttributes };

struct ConditionOptions {
  ConditionKind kind = ConditionKind::kNone;
  std::vector<std::string> label_names{};  // of the classes or attributes; empty until the data set is known
  double dropout = 0.1;                    // LabelParams::dropout
  double attribute_dropout = 1;            // LabelParams::field_dropout, of attributes alone
};

// The row of one image.
using ConditionRow = std::vector<float>;

// The options with the names of the data set's labels. InputError where it has none or those of another kind,
// or where the options have other names already: those of the network that goes on to be trained. `data` is
// how the data set is called.
ConditionOptions with_names_of(const ConditionOptions& options, const Labels& labels,
                               const std::string& data);

// How labels become rows. n, dataset_count and seed are left to the caller.
LabelParams labels_shape(const ConditionOptions& options);

// The labels of all images as `gather_labels` reads them: (count, fields).
std::vector<float> label_table(const ConditionOptions& options, const Labels& labels);

ConditionRow no_condition(const ConditionOptions& options);
// With the labels of image i.
ConditionRow condition_of_image(const ConditionOptions& options, const Labels& labels, int64_t i);
// A class by name or number ("cat", "3"), or attributes ("Smiling=1,Eyeglasses=0"). InputError lists the
// names where one is unknown.
ConditionRow parse_condition(const ConditionOptions& options, const std::string& text);
// Each class, in order.
std::vector<ConditionRow> every_class(const ConditionOptions& options);

// InputError where a number is out of its range.
void validate(const ConditionOptions& options);

}  // namespace ddpm
