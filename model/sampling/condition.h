// What an image is conditioned on beside the time: one of K classes, or any of A attributes; and how that
// becomes a row of ones and zeros, the input of the table of embeddings (ClassEmbedding::kTable).
//
// classes:    a column per class and a last one for "no condition". A row has a single one, so the table is
//             what PyTorch calls nn.Embedding(K + 1), in the layout of diffusers' num_class_embeds = K + 1.
// attributes: two columns per attribute, 2a for "not set" and 2a + 1 for "set". A row has a one for each
//             attribute that is specified, and its embedding is the sum of theirs. With a single column,
//             "not set" would equal "unspecified": guidance could not lead away from an attribute, and
//             attributes left open would count as absent. No condition is the row of zeros.
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
  std::vector<std::string> label_names{};  // of the classes or attributes; empty until the data is known
  double dropout = 0.1;                    // LabelParams::dropout
  double attribute_dropout = 1;            // LabelParams::field_dropout, of attributes alone
};

// The row of one image.
using ConditionRow = std::vector<float>;

// The options with the names of the data set's labels. InputError if it has none or labels of another kind,
// or if the options already hold other names, those of a network that is trained further. `data` names the
// data set in errors.
ConditionOptions with_names_of(const ConditionOptions& options, const Labels& labels,
                               const std::string& data);

// How labels become rows. The caller fills in n, dataset_count and seed.
LabelParams labels_shape(const ConditionOptions& options);

// The labels of all images as `gather_labels` reads them: (count, fields).
std::vector<float> label_table(const ConditionOptions& options, const Labels& labels);

ConditionRow no_condition(const ConditionOptions& options);
// With the labels of image i.
ConditionRow condition_of_image(const ConditionOptions& options, const Labels& labels, int64_t i);
// A class by name or number ("cat", "3"), or attributes ("Smiling=1,Eyeglasses=0"). The InputError for an
// unknown name lists all.
ConditionRow parse_condition(const ConditionOptions& options, const std::string& text);
// Each class, in order.
std::vector<ConditionRow> every_class(const ConditionOptions& options);

// InputError for a number out of its range.
void validate(const ConditionOptions& options);

}  // namespace ddpm
