// Antialiased painting of shapes given as signed distance functions.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "data/image.h"

namespace ddpm {

struct Point {
  double x = 0;
  double y = 0;
};

inline Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
inline Point operator*(double scale, Point a) { return {scale * a.x, scale * a.y}; }
inline double dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
inline double length(Point a) { return std::sqrt(dot(a, a)); }

// Red, green and blue, 0 to 255.
struct Color {
  double red = 0;
  double green = 0;
  double blue = 0;
};

inline Color mix(Color a, Color b, double share_of_b) {
  return {a.red + share_of_b * (b.red - a.red), a.green + share_of_b * (b.green - a.green),
          a.blue + share_of_b * (b.blue - a.blue)};
}

// A circle that encloses a shape, so that small shapes cost little in large images.
struct Circle {
  Point center;
  double radius = 0;
};

// A shape is anything with `double distance(Point) const`, negative inside, and `Circle bounds() const`.

struct Ellipse {
  Point center;
  double radius_x = 0;
  double radius_y = 0;

  // Exact on the outline and first-order near it: all that a one-pixel edge needs.
  double distance(Point p) const {
    const Point q = p - center;
    const double scaled = length({q.x / radius_x, q.y / radius_y});
    const double gradient = length({q.x / (radius_x * radius_x), q.y / (radius_y * radius_y)});
    return gradient > 0 ? scaled * (scaled - 1) / gradient : -std::min(radius_x, radius_y);
  }
  Circle bounds() const { return {center, std::max(radius_x, radius_y)}; }
};

// A line with round ends.
struct Capsule {
  Point from;
  Point to;
  double radius = 0;

  double distance(Point p) const {
    const Point along = to - from;
    const double squared = dot(along, along);
    const double share = squared > 0 ? std::clamp(dot(p - from, along) / squared, 0.0, 1.0) : 0.0;
    return length(p - from - share * along) - radius;
  }
  Circle bounds() const { return {0.5 * (from + to), 0.5 * length(to - from) + radius}; }
};

struct RoundedBox {
  Point center;
  double half_width = 0;
  double half_height = 0;
  double corner = 0;

  double distance(Point p) const {
    const double x = std::abs(p.x - center.x) - half_width + corner;
    const double y = std::abs(p.y - center.y) - half_height + corner;
    return length({std::max(x, 0.0), std::max(y, 0.0)}) + std::min(std::max(x, y), 0.0) - corner;
  }
  Circle bounds() const { return {center, length({half_width, half_height})}; }
};

// The parabola from `from` over the control point `bend` to `to`, as a stroke.
struct Curve {
  Point from;
  Point bend;
  Point to;
  double radius = 0;

  double distance(Point p) const {
    constexpr int kPieces = 8;
    double nearest = 1e9;
    Point last = from;
    for (int i = 1; i <= kPieces; ++i) {
      const double t = static_cast<double>(i) / kPieces;
      const Point next = (1 - t) * (1 - t) * from + 2 * t * (1 - t) * bend + t * t * to;
      nearest = std::min(nearest, Capsule{last, next, radius}.distance(p));
      last = next;
    }
    return nearest;
  }
  Circle bounds() const {
    const Point middle = 0.5 * (from + to);
    return {middle, std::max(length(from - middle), length(bend - middle)) + radius};
  }
};

// Everything above the line y = `y`.
struct Above {
  double y = 0;

  double distance(Point p) const { return p.y - y; }
  Circle bounds() const { return {{}, 1e9}; }
};

template <typename A, typename B>
struct Both {
  A a;
  B b;

  double distance(Point p) const { return std::max(a.distance(p), b.distance(p)); }
  Circle bounds() const { return a.bounds().radius < b.bounds().radius ? a.bounds() : b.bounds(); }
};

template <typename A, typename B>
struct Without {
  A a;
  B b;

  double distance(Point p) const { return std::max(a.distance(p), -b.distance(p)); }
  Circle bounds() const { return a.bounds(); }
};

// The outline of a shape, `radius` to either side.
template <typename A>
struct Outline {
  A a;
  double radius = 0;

  double distance(Point p) const { return std::abs(a.distance(p)) - radius; }
  Circle bounds() const { return {a.bounds().center, a.bounds().radius + radius}; }
};

template <typename A, typename B>
Both(A, B) -> Both<A, B>;
template <typename A, typename B>
Without(A, B) -> Without<A, B>;
template <typename A>
Outline(A, double) -> Outline<A>;

// A drawing plane. Shapes are in units of `scale` pixels around `origin` (in pixels) and are
// rotated by turn().
class Canvas {
 public:
  Canvas(int width, int height, Point origin, double scale)
      : width_(width),
        height_(height),
        origin_(origin),
        scale_(scale),
        pixels_(static_cast<size_t>(width) * height) {}

  // Rotates what is painted from here on, in radians, clockwise on screen.
  void turn(double angle) {
    cosine_ = std::cos(angle);
    sine_ = std::sin(angle);
  }

  // Paints every pixel with color_at(its center, in units).
  template <typename ColorAt>
  void fill_background(const ColorAt& color_at) {
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x)
        pixels_[static_cast<size_t>(y) * width_ + x] = color_at(to_units(x, y));
  }

  // Paints a shape over what is there. The edge is one pixel wide, like a box filter's; `softness` (in units)
  // widens it.
  template <typename Shape>
  void paint(const Shape& shape, Color color, double opacity = 1, double softness = 0) {
    const double edge = std::max(1 / scale_, softness);
    const Circle bounds = shape.bounds();
    const Point middle = to_pixels(bounds.center);
    const double reach = std::min((bounds.radius + edge) * scale_ + 1, 1e6);
    const int top = std::clamp(static_cast<int>(std::floor(middle.y - reach)), 0, height_);
    const int bottom = std::clamp(static_cast<int>(std::ceil(middle.y + reach)) + 1, 0, height_);
    const int left = std::clamp(static_cast<int>(std::floor(middle.x - reach)), 0, width_);
    const int right = std::clamp(static_cast<int>(std::ceil(middle.x + reach)) + 1, 0, width_);
    for (int y = top; y < bottom; ++y)
      for (int x = left; x < right; ++x) {
        const double coverage = std::clamp(0.5 - shape.distance(to_units(x, y)) / edge, 0.0, 1.0);
        Color& pixel = pixels_[static_cast<size_t>(y) * width_ + x];
        if (coverage > 0) pixel = mix(pixel, color, coverage * opacity);
      }
  }

  // The image rounded to 8 bits, (height, width, 3).
  Image image() const {
    Image result(width_, height_, 3);
    const auto to_byte = [](double value) {
      return static_cast<uint8_t>(std::clamp(value + 0.5, 0.0, 255.0));
    };
    for (size_t i = 0; i < pixels_.size(); ++i) {
      result.pixels[3 * i] = to_byte(pixels_[i].red);
      result.pixels[3 * i + 1] = to_byte(pixels_[i].green);
      result.pixels[3 * i + 2] = to_byte(pixels_[i].blue);
    }
    return result;
  }

 private:
  // The center of pixel (x, y).
  Point to_units(int x, int y) const {
    const Point p = (1 / scale_) * (Point{x + 0.5, y + 0.5} - origin_);
    return {cosine_ * p.x + sine_ * p.y, cosine_ * p.y - sine_ * p.x};
  }
  Point to_pixels(Point p) const {
    return origin_ + scale_ * Point{cosine_ * p.x - sine_ * p.y, cosine_ * p.y + sine_ * p.x};
  }

  int width_;
  int height_;
  Point origin_;
  double scale_;
  double cosine_ = 1;
  double sine_ = 0;
  std::vector<Color> pixels_;
};

}  // namespace ddpm
