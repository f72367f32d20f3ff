// The readable twin of winograd_body.h: the matrices of F(4x4, 3x3), multiplied out one channel at a time.
#include <vector>

#include "tensor/kernels/act.h"
#include "tensor/kernels/winograd.h"

namespace solobox {
namespace {

constexpr double r = 1.4142135623730951;  // sqrt(2)

// Rows: the values of 1, t, t^2, t^3 at the points 0, +-sqrt(1/2), +-sqrt(2); the last column is infinity's.
constexpr double AT[4][6] = {
    {1, 1, 1, 1, 1, 0}, {0, r / 2, -r / 2, r, -r, 0}, {0, 0.5, 0.5, 2, 2, 0}, {0, r / 4, -r / 4, 2 * r, -2 * r, 1}};
// 1, t, t^2 at each point, over the product of its distances to the other points.
constexpr double G[6][3] = {{1, 0, 0},
                            {-2.0 / 3, -r / 3, -1.0 / 3},
                            {-2.0 / 3, r / 3, -1.0 / 3},
                            {1.0 / 6, r / 6, 1.0 / 3},
                            {1.0 / 6, -r / 6, 1.0 / 3},
                            {0, 0, 1}};
// Coefficients of the polynomials that vanish at all other points.
constexpr double BT[6][6] = {{1, 0, -2.5, 0, 1, 0},      {0, -r, -2, r / 2, 1, 0},   {0, r, -2, -r / 2, 1, 0},
                             {0, -r / 2, -0.5, r, 1, 0}, {0, r / 2, -0.5, -r, 1, 0}, {0, 1, 0, -2.5, 0, 1}};

// out (rows x rows) = left (rows x n) in (n x n) left^T
template <int Rows, int N, class In, class Out>
void sandwich(const double (&left)[Rows][N], In in, Out out) {
    double half[Rows][N] = {};
    for (int i = 0; i < Rows; ++i)
        for (int j = 0; j < N; ++j)
            for (int k = 0; k < N; ++k) half[i][j] += left[i][k] * in(k, j);
    for (int i = 0; i < Rows; ++i)
        for (int j = 0; j < Rows; ++j) {
            double sum = 0;
            for (int k = 0; k < N; ++k) sum += half[i][k] * left[j][k];
            out(i, j, static_cast<float>(sum));
        }
}

// out (cols x cols) = left^T (cols x n) in (n x n) left, for the adjoint maps
template <int N, int Cols, class In, class Out>
void adjoint(const double (&left)[N][Cols], In in, Out out) {
    double transposed[Cols][N];
    for (int i = 0; i < N; ++i)
        for (int j = 0; j < Cols; ++j) transposed[j][i] = left[i][j];
    sandwich(transposed, in, out);
}

void input(long c, const float* const* d, float* v, long xi_stride) {
    for (long k = 0; k < c; ++k)
        sandwich(
            BT, [&](int i, int j) { return d[6 * i + j][k]; },
            [&](int i, int j, float value) { v[(6 * i + j) * xi_stride + k] = value; });
}

void input_affine(long c, const float* const* d, const float* outside, const float* scale, const float* shift,
                  const Act& act, float* v, long xi_stride) {
    for (long k = 0; k < c; ++k)
        sandwich(
            BT,
            [&](int i, int j) {
                if (d[6 * i + j] == outside) return 0.0F;
                return act_value(act, scale[k] * d[6 * i + j][k] + shift[k]);
            },
            [&](int i, int j, float value) { v[(6 * i + j) * xi_stride + k] = value; });
}

void output(long c, const float* m, long xi_stride, const float* bias, float* const* y) {
    for (long k = 0; k < c; ++k)
        sandwich(
            AT, [&](int i, int j) { return m[(6 * i + j) * xi_stride + k]; },
            [&](int i, int j, float value) {
                if (y[4 * i + j]) y[4 * i + j][k] = value + (bias ? bias[k] : 0.0F);
            });
}

void output_grad(long c, const float* const* dy, float* z, long xi_stride) {
    for (long k = 0; k < c; ++k)
        adjoint(
            AT, [&](int i, int j) { return dy[4 * i + j][k]; },
            [&](int i, int j, float value) { z[(6 * i + j) * xi_stride + k] = value; });
}

void weight(long c, const float* const* g, float* u, long xi_stride) {
    for (long k = 0; k < c; ++k)
        sandwich(
            G, [&](int i, int j) { return g[3 * i + j][k]; },
            [&](int i, int j, float value) { u[(6 * i + j) * xi_stride + k] = value; });
}

void weight_grad(long c, const float* du, long xi_stride, float* const* dg) {
    for (long k = 0; k < c; ++k)
        adjoint(
            G, [&](int i, int j) { return du[(6 * i + j) * xi_stride + k]; },
            [&](int i, int j, float value) { dg[3 * i + j][k] = value; });
}

}  // namespace

const WinogradKernels reference_winograd{input, input_affine, output, output_grad, weight, weight_grad};

}  // namespace solobox
