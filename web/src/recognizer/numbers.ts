// Numbers as Python and numpy round and search them.

/** The nearest whole number; halves go to the even one, as in Python. */
export function round(value: number): number {
  const floor = Math.floor(value);
  const above = value - floor;
  return above > 0.5 || (above === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

export function roundTo(value: number, digits: number): number {
  const power = 10 ** digits;
  return round(value * power) / power;
}

export function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value;
}

/** How many of the sorted values are below `value` (side left), or below or equal to it (side right). */
export function searchSorted(sorted: ArrayLike<number>, value: number, side: "left" | "right"): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const one = sorted[middle]!;
    if (one < value || (side === "right" && one === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The places of the `count` largest values, largest first; of equal values the first place wins. */
export function largest(values: ArrayLike<number>, count: number): number[] {
  const found: number[] = [];
  for (let place = 0; place < values.length; place++) {
    const value = values[place]!;
    if (found.length === count && !(value > values[found[count - 1]!]!)) continue;
    let at = found.length;
    while (at > 0 && value > values[found[at - 1]!]!) at--;
    found.splice(at, 0, place);
    if (found.length > count) found.pop();
  }
  return found;
}

export function maximum(values: ArrayLike<number>): number {
  let most = -Infinity;
  for (let place = 0; place < values.length; place++) if (values[place]! > most) most = values[place]!;
  return most;
}
