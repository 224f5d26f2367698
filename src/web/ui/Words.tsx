// Words.tsx: a sentence whose flags (--stack-bytes) are kept whole, to be read and copied.

export function Words({ text }: { readonly text: string }) {
  return (
    <>
      {text
        .split(/(?<!\S)(…?-[^\s;,.]+)/)
        .map((words, i) => (i % 2 === 1 ? <span class="flag">{words}</span> : words))}
    </>
  );
}
