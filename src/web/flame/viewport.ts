// viewport.ts: takes a wish (zoom here, pan there), gives the visible range that fulfils it within
// the tree's bounds.

/** The visible range: samples left to right, and how many pixels the rows are scrolled up. */
export interface View {
  readonly left: number;
  readonly right: number;
  readonly scroll: number;
}

/** Nothing is narrower than one sample. */
const minSpan = 1;

export function wholeView(total: number): View {
  return { left: 0, right: Math.max(total, minSpan), scroll: 0 };
}

/** Moves and widens the range so that it lies in 0 to total and is at least a sample wide. */
export function clampRange(left: number, right: number, total: number): [number, number] {
  const whole = Math.max(total, minSpan);
  const span = Math.min(whole, Math.max(minSpan, right - left));
  const middle = (left + right) / 2;
  const start = Math.min(Math.max(0, middle - span / 2), whole - span);
  return [start, start + span];
}

/** A factor below 1 shows less; the sample `anchor` stays where it is. */
export function zoomAt(view: View, anchor: number, factor: number, total: number): View {
  const whole = Math.max(total, minSpan);
  const span = view.right - view.left;
  const wanted = Math.min(whole, Math.max(minSpan, span * factor));
  const share = (anchor - view.left) / span;
  const start = Math.min(Math.max(0, anchor - share * wanted), whole - wanted);
  return { left: start, right: start + wanted, scroll: view.scroll };
}

/** Moves the range by some samples, without changing its width. */
export function panBy(view: View, samples: number, total: number): View {
  const span = view.right - view.left;
  const whole = Math.max(total, minSpan);
  const left = Math.min(Math.max(0, view.left + samples), whole - span);
  return { left, right: left + span, scroll: view.scroll };
}

export function scrollTo(view: View, scroll: number, maxScroll: number): View {
  return { ...view, scroll: Math.min(Math.max(0, scroll), Math.max(0, maxScroll)) };
}

/** Between two views; `t` from 0 to 1 eases out. */
export function between(from: View, to: View, t: number): View {
  const e = 1 - (1 - t) ** 3;
  const mix = (a: number, b: number) => a + (b - a) * e;
  return t >= 1
    ? to
    : {
        left: mix(from.left, to.left),
        right: mix(from.right, to.right),
        scroll: mix(from.scroll, to.scroll),
      };
}
