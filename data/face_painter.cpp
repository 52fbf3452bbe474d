#include "data/face_painter.h"

namespace ddpm {
namespace {

constexpr Color kWhite = {252, 252, 252};
constexpr Color kBlack = {24, 20, 22};
constexpr Color kMouthInside = {110, 34, 40};
constexpr Color kLipstick = {196, 40, 66};
constexpr Color kBlush = {236, 104, 104};
constexpr Color kGold = {238, 196, 76};

Color darker(Color color, double share) { return mix(color, kBlack, share); }
Color lighter(Color color, double share) { return mix(color, kWhite, share); }

// The head's outline: an ellipse for the skull and a narrower one for the chin, joined by a soft minimum.
struct Head {
  Ellipse skull;
  Ellipse chin;

  double distance(Point p) const {
    constexpr double kBlend = 0.12;
    const double a = skull.distance(p);
    const double b = chin.distance(p);
    const double share = std::clamp(0.5 + 0.5 * (b - a) / kBlend, 0.0, 1.0);
    return b + share * (a - b) - kBlend * share * (1 - share);
  }
  Circle bounds() const { return {{0, 0.05}, 0.85}; }
};

// One drawing: the parameters and what is derived from them.
class Painter {
 public:
  Painter(Canvas& canvas, const FaceParameters& face)
      : canvas_(canvas),
        face_(face),
        head_{{{0, -0.06}, face.head_width, 0.92 * face.head_height},
              {{0.03 * face.yaw, 0.24}, face.head_width * face.jaw, 0.72 * face.head_height}},
        shade_(darker(face.skin_color, 0.18)) {}

  void paint() {
    background();
    canvas_.turn(face_.tilt);
    hair_behind();
    canvas_.turn(0);
    shoulders();
    canvas_.turn(face_.tilt);
    ears();
    canvas_.paint(head_, face_.skin_color);
    cheeks();
    beard();
    nose();
    mouth();
    eyes();
    hair_in_front();
    brows();
    glasses();
    hat();
  }

 private:
  // A point on the front of the face: turning the head moves it sideways and shortens the side facing away.
  Point front(double x, double y) const {
    const double away = x * face_.yaw > 0 ? 0.85 : 1.05;
    return {0.10 * face_.yaw + x * away, y};
  }

  void background() {
    const Color bottom = darker(face_.background, 0.12);
    canvas_.fill_background(
        [&](Point p) { return mix(face_.background, bottom, std::clamp(0.5 + 0.5 * p.y, 0.0, 1.0)); });
  }

  void shoulders() {
    canvas_.paint(Ellipse{{0, 1.22}, 0.80, 0.46}, face_.shirt);
    canvas_.paint(RoundedBox{{0, 0.72}, 0.17, 0.24, 0.12}, shade_);
  }

  void ears() {
    for (const double side : {-1.0, 1.0}) {
      // The ear on the side the face turns to moves behind the head.
      const double x = side * face_.head_width - 0.06 * face_.yaw;
      canvas_.paint(Ellipse{{x, 0.06}, 0.085, 0.125}, face_.skin_color);
      canvas_.paint(Ellipse{{x, 0.06}, 0.045, 0.075}, shade_);
      if (face_.earrings) canvas_.paint(Ellipse{{x, 0.225}, 0.05, 0.05}, kGold);
    }
  }

  void cheeks() {
    if (!face_.rosy_cheeks) return;
    for (const double side : {-1.0, 1.0})
      canvas_.paint(Ellipse{front(side * 0.29, 0.23), 0.10, 0.075}, kBlush, 0.55, 0.06);
  }

  Point mouth_center() const { return front(0, 0.36); }

  void beard() {
    const Color color = mix(face_.hair, face_.skin_color, 0.12);
    const Point middle = mouth_center();
    if (face_.beard == Beard::kFull) {
      const Ellipse clear{front(0, 0.10), 0.40, 0.25};
      canvas_.paint(Both{Without{head_, clear}, Without{Ellipse{{0, 0.45}, 0.62, 0.42}, clear}}, color);
    }
    if (face_.beard == Beard::kGoatee) canvas_.paint(Ellipse{middle + Point{0, 0.19}, 0.15, 0.13}, color);
    if (face_.beard == Beard::kMustache || face_.beard == Beard::kFull)
      canvas_.paint(
          Curve{middle + Point{-0.19, -0.06}, middle + Point{0, -0.16}, middle + Point{0.19, -0.06}, 0.05},
          color);
  }

  void nose() {
    const Point tip = front(0.05 * face_.yaw, 0.19);
    canvas_.paint(Ellipse{tip, 0.075, 0.05}, shade_);
    canvas_.paint(Capsule{front(0.02 * face_.yaw, 0.02), tip, 0.022}, shade_, 0.6);
  }

  void mouth() {
    const Point middle = mouth_center();
    const double width = face_.mouth_width;
    const Color lips = face_.lipstick ? kLipstick : mix(darker(face_.skin_color, 0.35), {170, 50, 50}, 0.5);
    const Point left = middle + Point{-width, -face_.smile};
    const Point right = middle + Point{width, -face_.smile};
    const double thickness = face_.lipstick ? 0.038 : 0.028;
    if (face_.mouth == Mouth::kOpen && face_.smile > 0) {
      // A laughing mouth: the lower half of an ellipse, with the upper teeth.
      const double top = middle.y - face_.smile;
      const Ellipse opening{{middle.x, top}, width, 0.09 + face_.smile};
      const auto below = Without{opening, Above{top}};
      canvas_.paint(below, kMouthInside);
      canvas_.paint(Both{below, Above{top + 0.07}}, kWhite);
      canvas_.paint(Outline{below, 0.6 * thickness}, lips);
    } else if (face_.mouth == Mouth::kOpen) {
      canvas_.paint(Ellipse{middle, 0.5 * width, 0.07}, kMouthInside);
      canvas_.paint(Outline{Ellipse{middle, 0.5 * width, 0.07}, 0.8 * thickness}, lips);
    } else {
      canvas_.paint(Curve{left, middle + Point{0, face_.smile}, right, thickness}, lips);
    }
  }

  Point eye_center(double side) const { return front(side * face_.eye_distance, -0.02); }

  void eyes() {
    const double size = face_.eye_size;
    for (const double side : {-1.0, 1.0}) {
      const Point center = eye_center(side);
      const Point look = center + Point{0.035 * face_.yaw, 0};
      canvas_.paint(Ellipse{center, 1.15 * size, 0.92 * size}, kWhite);
      canvas_.paint(Ellipse{look, 0.66 * size, 0.72 * size}, face_.iris);
      canvas_.paint(Ellipse{look, 0.36 * size, 0.40 * size}, kBlack);
      canvas_.paint(Ellipse{look + Point{-0.25 * size, -0.28 * size}, 0.2 * size, 0.2 * size}, kWhite);
      canvas_.paint(Curve{center + Point{-1.2 * size, -0.2 * size}, center + Point{0, -1.75 * size},
                          center + Point{1.2 * size, -0.2 * size}, 0.018},
                    kBlack, 0.8);
    }
  }

  void brows() {
    const Color color =
        face_.hair_style == HairStyle::kBald ? darker(face_.skin_color, 0.55) : darker(face_.hair, 0.25);
    for (const double side : {-1.0, 1.0}) {
      const Point middle = front(side * face_.eye_distance, -0.19);
      const Point inner = middle + Point{-side * 0.10, face_.brow_angle};
      const Point outer = middle + Point{side * 0.11, 0.02};
      canvas_.paint(Curve{inner, middle + Point{0, -0.05}, outer, face_.brow_thickness}, color);
    }
  }

  // The hair as a cap over the skull, larger by its thickness.
  Ellipse cap(double thickness) const {
    return {{-0.02 * face_.yaw, -0.12}, face_.head_width + thickness, face_.head_height + thickness};
  }

  void hair_behind() {
    const Color back = darker(face_.hair, 0.25);
    const double width = face_.head_width;
    if (face_.hair_style == HairStyle::kLong) {
      canvas_.paint(cap(0.10), back);
      canvas_.paint(RoundedBox{{-0.03 * face_.yaw, 0.35}, width + 0.13, 0.62, 0.24}, back);
    }
    if (face_.hair_style == HairStyle::kCurly)
      for (int i = 0; i <= 10; ++i) {
        const double angle = 3.14159 * (1.0 + (i - 1.2) / 7.6);
        canvas_.paint(Ellipse{{(width + 0.06) * std::cos(angle), -0.14 + 0.60 * std::sin(angle)}, 0.19, 0.19},
                      back);
      }
    if (face_.hair_style == HairStyle::kBun && face_.hat == Hat::kNone)
      canvas_.paint(Ellipse{{-0.05 * face_.yaw, -0.76}, 0.21, 0.19}, back);
  }

  void hair_in_front() {
    const double width = face_.head_width;
    const Color color = face_.hair;
    switch (face_.hair_style) {
      case HairStyle::kBald:
        canvas_.paint(Ellipse{{-0.14, -0.42}, 0.10, 0.05}, lighter(face_.skin_color, 0.5), 0.6, 0.06);
        break;
      case HairStyle::kShort:
        canvas_.paint(Both{Without{cap(0.06), Ellipse{front(0, 0.20), width * 0.94, 0.56}}, Above{0.02}},
                      color);
        break;
      case HairStyle::kSidePart:
        canvas_.paint(Both{Without{cap(0.08), Ellipse{front(0.16, 0.24), width * 1.02, 0.62}}, Above{0.04}},
                      color);
        canvas_.paint(Curve{{0.22, -0.66}, {0.05, -0.44}, {-0.36, -0.30}, 0.03}, darker(color, 0.2));
        break;
      case HairStyle::kBangs:
        canvas_.paint(
            Both{Without{cap(0.08), RoundedBox{front(0, 0.30), width * 0.86, 0.55, 0.10}}, Above{0.12}},
            color);
        break;
      case HairStyle::kLong:
        canvas_.paint(Both{Without{cap(0.10), Ellipse{front(0, 0.22), width * 0.92, 0.66}}, Above{0.5}},
                      color);
        canvas_.paint(Capsule{front(0, -0.70), front(0, -0.46), 0.012}, darker(color, 0.35));
        break;
      case HairStyle::kCurly:
        for (int i = 0; i <= 6; ++i) {
          const double angle = 3.14159 * (1.08 + 0.84 * i / 6);
          canvas_.paint(Ellipse{{0.94 * width * std::cos(angle), -0.12 + 0.52 * std::sin(angle)}, 0.15, 0.14},
                        color);
        }
        break;
      case HairStyle::kBun:
        canvas_.paint(Both{Without{cap(0.05), Ellipse{front(0, 0.26), width * 1.0, 0.66}}, Above{0.0}},
                      color);
        break;
    }
  }

  template <typename Lens>
  void lenses(const Lens& lens_at) {
    for (const double side : {-1.0, 1.0}) {
      const auto lens = lens_at(eye_center(side) + Point{0, 0.015});
      canvas_.paint(lens, kWhite, 0.18);
      canvas_.paint(Outline{lens, 0.026}, face_.frame);
    }
    canvas_.paint(Capsule{eye_center(-1) + Point{0.15, 0}, eye_center(1) + Point{-0.15, 0}, 0.024},
                  face_.frame);
    for (const double side : {-1.0, 1.0})
      canvas_.paint(Both{Capsule{eye_center(side) + Point{side * 0.16, 0}, {side * 0.60, 0}, 0.022}, head_},
                    face_.frame);
  }

  void glasses() {
    if (face_.glasses == Glasses::kRound) lenses([](Point center) { return Ellipse{center, 0.165, 0.155}; });
    if (face_.glasses == Glasses::kSquare)
      lenses([](Point center) { return RoundedBox{center, 0.17, 0.125, 0.04}; });
  }

  void hat() {
    if (face_.hat == Hat::kNone) return;
    const Color band = darker(face_.hat_color, 0.3);
    const double width = face_.head_width + 0.11;
    canvas_.paint(Both{Ellipse{{0, -0.28}, width, 0.54}, Above{-0.30}}, face_.hat_color);
    if (face_.hat == Hat::kBeanie) {
      canvas_.paint(RoundedBox{{0, -0.33}, width + 0.01, 0.085, 0.06}, band);
      canvas_.paint(Ellipse{{0, -0.83}, 0.11, 0.10}, lighter(face_.hat_color, 0.6));
    } else {
      const double side = face_.yaw < 0 ? -1 : 1;
      canvas_.paint(RoundedBox{{side * 0.26, -0.32}, 0.52, 0.06, 0.055}, band);
    }
  }

  Canvas& canvas_;
  const FaceParameters& face_;
  Head head_;
  Color shade_;
};

}  // namespace

void paint_face(Canvas& canvas, const FaceParameters& face) { Painter(canvas, face).paint(); }

}  // namespace ddpm
