// text.ts: takes a name and a width, gives as much of the name as fits. Widths are sums of cached
// advances (the canvas draws without kerning), so that no frame of an animation measures text.

export type Measure = (text: string) => number;

export class TextFitter {
  private readonly advances = new Map<string, number>();
  private readonly ascii = new Float64Array(128).fill(-1);
  private readonly ellipsis: number;

  constructor(private readonly measure: Measure) {
    this.ellipsis = measure("…");
  }

  private advance(char: string): number {
    const code = char.charCodeAt(0);
    if (code < 128) {
      if (this.ascii[code] < 0) this.ascii[code] = this.measure(char);
      return this.ascii[code];
    }
    let width = this.advances.get(char);
    if (width === undefined) {
      width = this.measure(char);
      this.advances.set(char, width);
    }
    return width;
  }

  /** The whole name, its head with … behind it, or "" if not even two letters of it fit. */
  fit(name: string, room: number): string {
    let used = 0;
    let cut = 0; // code units that fit with … behind them
    let cutLetters = 0;
    let at = 0;
    for (const char of name) {
      used += this.advance(char);
      if (used > room) return cutLetters >= 2 ? `${name.slice(0, cut)}…` : "";
      at += char.length;
      if (used + this.ellipsis <= room) {
        cut = at;
        cutLetters++;
      }
    }
    return name;
  }
}
