"""Find the scale (and minimum) with which whole levels come nearest to a group of weights, for many groups at once.

Groups are columns: (group size, groups), float32. The four searches, their candidates and the order of their sums
are those of ggml's reference quantizer (ggml/src/ggml-quants.c: make_qx_quants, make_q3_quants, make_qkx2/3_quants,
make_qp_quants), because files of different tools should be the same; the code is ours.
"""

from collections.abc import Sequence

import torch

# Smaller groups than this are taken for zeros.
_TINY = 1e-15
_REFINEMENTS = 5


def symmetric_scale(values: torch.Tensor, weights: torch.Tensor, half: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimize the weighted squared error of `scale * level` for levels from -half to half - 1.

    Tries 19 scales around the one that maps the largest magnitude to -half; each is then refined by least squares.
    Returns (scale, levels): (groups,) and (group size, groups), the levels counted from 0; all 0 for a group of zeros.
    """
    extreme = _extreme(values)
    is_zero = extreme.abs() < _TINY
    weighted = weights * values
    best_inverse = quotient(-half, extreme)
    products, squares = _fit(values, weights, weighted, best_inverse, half)
    scale = torch.where(squares == 0, 0.0, products / squares)
    best = scale * products
    for step in (*range(-9, 0), *range(1, 10)):
        inverse = quotient(_scaled(step, 0.1, half, -1), extreme)
        products, squares = _fit(values, weights, weighted, inverse, half)
        is_better = (squares > 0) & (products * products > best * squares)
        scale = torch.where(is_better, products / squares, scale)
        best = torch.where(is_better, scale * products, best)
        best_inverse = torch.where(is_better, inverse, best_inverse)
    levels = _levels(values * best_inverse, -half, half - 1) + half
    return torch.where(is_zero, 0.0, scale), torch.where(is_zero, 0.0, levels)


def descended_scale(values: torch.Tensor, half: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimize the same error, weighted by the squared values, changing one level at a time; the same results."""
    extreme = _extreme(values)
    is_zero = extreme.abs() < _TINY
    weights = values * values
    levels = _levels(values * quotient(-half, extreme), -half, half - 1)
    weighted = weights * values
    products, squares = total(weighted * levels), total(weights * levels * levels)
    _descend(values, weights, levels, products, squares, -half, half - 1, needs_squares=False)
    scale = torch.where(is_zero | (squares <= 0), 0.0, products / squares)
    return scale, torch.where(is_zero, 0.0, levels + half)


def positive_scale(values: torch.Tensor, weights: torch.Tensor, top: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimize the weighted squared error of `scale * level` for levels from 0 to `top` and values of 0 or more.

    Returns (scale, levels).
    """
    largest = values.amax(0)
    is_zero = largest < _TINY
    best_inverse = quotient(top, largest)
    best = _weighted_error(values, weights, best_inverse, top)
    for step in (*range(-4, 0), *range(1, 5)):
        inverse = quotient(_scaled(step, 0.1, top), largest)
        error = _weighted_error(values, weights, inverse, top)
        is_better = error < best
        best = torch.where(is_better, error, best)
        best_inverse = torch.where(is_better, inverse, best_inverse)
    levels = (values * best_inverse).round().clamp_(max=top)
    products, squares = total(weights * values * levels), total(weights * levels * levels)
    _descend(values, weights, levels, products, squares, None, top, needs_squares=True)
    scale = torch.where(squares > 0, products / squares, 0.0)
    return torch.where(is_zero, 0.0, scale), torch.where(is_zero, 0.0, levels)


def affine_scale(
    values: torch.Tensor, weights: torch.Tensor, top: int, steps: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Minimize the weighted squared error of `scale * level - minimum` for levels from 0 to `top`, minimum >= 0.

    Tries one division of the range for each of `steps` (added to `top`) and refines scale and minimum by least
    squares, from the best so far. Returns (scale, minimum, levels).
    """
    low = values.amin(0).clamp_(max=0)
    high = values.amax(0)
    is_flat = high <= low
    weighted = weights * values
    sum_weights, sum_values = total(weights.clone()), total(weighted)
    best_inverse, base = quotient(top, high - low), low
    scale = 1 / best_inverse
    levels = _levels((values - base) * best_inverse, 0, top)
    best = total(weights * (scale * levels + low - values).square_())
    for step in steps:
        inverse = quotient(step + top, high - low)
        levels = _levels((values - low) * inverse, 0, top)
        levels_weighted = weights * levels
        sum_squares = total(levels_weighted * levels)
        sum_products = total(levels_weighted * values)
        sum_levels = total(levels_weighted)
        determinant = sum_weights * sum_squares - sum_levels * sum_levels
        new_scale = (sum_weights * sum_products - sum_values * sum_levels) / determinant
        new_low = (sum_squares * sum_values - sum_levels * sum_products) / determinant
        is_above = new_low > 0
        new_low = torch.where(is_above, 0.0, new_low)
        new_scale = torch.where(is_above, sum_products / sum_squares, new_scale)
        error = total(weights * (new_scale * levels + new_low - values).square_())
        is_better = (determinant > 0) & (error < best)
        best = torch.where(is_better, error, best)
        scale = torch.where(is_better, new_scale, scale)
        best_inverse = torch.where(is_better, inverse, best_inverse)
        base = torch.where(is_better, low, base)
        low = torch.where(is_better, new_low, low)
    levels = _levels((values - base) * best_inverse, 0, top)
    return torch.where(is_flat, 0.0, scale), -low, torch.where(is_flat, 0.0, levels)


def _fit(
    values: torch.Tensor, weights: torch.Tensor, weighted: torch.Tensor, inverse: torch.Tensor, half: int
) -> tuple[torch.Tensor, torch.Tensor]:
    levels = _levels(values * inverse, -half, half - 1)
    return total(weighted * levels), total((weights * levels).mul_(levels))


def _weighted_error(values: torch.Tensor, weights: torch.Tensor, inverse: torch.Tensor, top: int) -> torch.Tensor:
    levels = (values * inverse).round().clamp_(max=top)
    difference = values - (1 / inverse) * levels
    return total(weights * difference * difference)


def _descend(
    values: torch.Tensor,
    weights: torch.Tensor,
    levels: torch.Tensor,
    products: torch.Tensor,
    squares: torch.Tensor,
    lowest: int | None,
    highest: int,
    needs_squares: bool,
) -> None:
    """Change one level after the other where that lowers the error, up to five times round; works in place."""
    for _ in range(_REFINEMENTS):
        has_changed = False
        for value, weight, level in zip(values, weights, levels, strict=True):
            weighted = weight * value
            other_products = products - weighted * level
            other_squares = squares - weight * level * level
            is_possible = other_products > 0
            if needs_squares:
                is_possible &= other_squares > 0
            new = (value * other_squares / other_products).round().clamp_(lowest, highest)
            new_products = other_products + weighted * new
            new_squares = other_squares + weight * new * new
            is_better = is_possible & (new != level) & (new_squares > 0)
            is_better &= new_products * new_products * squares > products * products * new_squares
            if is_better.any():
                has_changed = True
                level.copy_(torch.where(is_better, new, level))
                products.copy_(torch.where(is_better, new_products, products))
                squares.copy_(torch.where(is_better, new_squares, squares))
        if not has_changed:
            return


def _extreme(values: torch.Tensor) -> torch.Tensor:
    """Return the value of the largest magnitude of each group, the first of equal ones."""
    return values.gather(0, values.abs().argmax(0, keepdim=True)).squeeze(0)


def _scaled(step: int, delta: float, levels: int, sign: int = 1) -> float:
    """Return sign * (levels + delta * step) as float32 arithmetic gives it."""
    exact = torch.tensor(delta, dtype=torch.float32) * step + levels
    return sign * float(exact)


def _levels(scaled: torch.Tensor, lowest: int, highest: int) -> torch.Tensor:
    return scaled.round_().clamp_(lowest, highest)


def total(terms: torch.Tensor) -> torch.Tensor:
    """Add the rows up one after the other, overwriting some: another order would round, and decide, differently.

    PyTorch's sum on a CPU does that for up to 17 rows, and a hundred times faster than a loop over rows.
    """
    done = min(16, len(terms))
    sums = terms[:done].sum(0)
    while done < len(terms):
        terms[done - 1] = sums
        sums = terms[done - 1 : done + 16].sum(0)
        done += 16
    return sums


def quotient(number: float, divisors: torch.Tensor) -> torch.Tensor:
    """Divide a number, rounding once: `number / tensor` is the product with a reciprocal, which rounds twice."""
    return torch.tensor(number, dtype=torch.float32, device=divisors.device) / divisors
