// format.ts: takes numbers, gives them as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 1,234,567 */
export function countText(n: number): string {
  return whole.format(n);
}

/** A share from 0 to 1. Small ones keep two digits that say something. */
export function percentText(share: number): string {
  const percent = share * 100;
  if (percent === 0) return "0 %";
  if (percent >= 99.95) return "100 %";
  if (percent >= 1) return `${percent.toFixed(1)} %`;
  if (percent >= 0.01) return `${percent.toFixed(2)} %`;
  return "< 0.01 %";
}

/** CPU time: 530 ms, 12.3 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s.toFixed(1)} s`;
  const pair = (n: number, big: string, size: number, small: string) => {
    const rest = Math.floor(n % size);
    return `${Math.floor(n / size)} ${big}${rest ? ` ${rest} ${small}` : ""}`;
  };
  if (s < 3600) return pair(s, "min", 60, "s");
  if (s < 86400) return pair(s / 60, "h", 60, "min");
  return pair(s / 3600, "d", 24, "h");
}
