// markers.ts: takes the name of a marker (src/agent/marker.h has them all), gives what it means and
// what one can do about it.

export interface Marker {
  readonly name: string;
  /** In a few words, of the stacks that have it. */
  readonly words: string;
  readonly meaning: string;
  readonly remedy: string;
}

const markers: readonly Marker[] = [
  {
    name: "[truncated]",
    words: "truncated",
    meaning:
      "The stack went on beyond the part of it that was copied, or had too many frames: what called the frames above is missing.",
    remedy:
      "Raise podflamed's --stack-bytes; the agent does so by itself up to --stack-bytes-max.",
  },
  {
    name: "[no unwind info]",
    words: "no unwind info",
    meaning:
      "Nothing tells what called the frames above: their code has neither CFI nor a frame pointer, or its unwind table was not built yet.",
    remedy:
      "Such code is followed to where it returns: give podflamed CAP_SYS_PTRACE to read it. Or build it with -fasynchronous-unwind-tables or -fno-omit-frame-pointer.",
  },
  {
    name: "[caller is no code]",
    words: "caller is no code",
    meaning:
      "What the stack has for the caller of the frames above is no code: something else was in the frame pointer, or in the place of the return address.",
    remedy:
      "Mostly code without CFI is behind it: build that with -fasynchronous-unwind-tables or -fno-omit-frame-pointer.",
  },
  {
    name: "[inconsistent stack]",
    words: "inconsistent",
    meaning:
      "The stack's memory contradicts the unwind rules: it was overwritten, the program is switching stacks, or the rules are wrong.",
    remedy:
      "A few need nothing. If many stand below one function, its assembly or its CFI is at fault.",
  },
  {
    name: "[unknown]",
    words: "unknown",
    meaning:
      "No frame could be told, or one lies where nothing the agent knows of was mapped: the process was starting or ending, or its mappings could not be read.",
    remedy: "A few are usual. If they are many, let podflamed have CAP_SYS_PTRACE.",
  },
  {
    name: "[other]",
    words: "too rare to keep",
    meaning:
      "Rare stacks, counted together: the node had more different ones at a time than the agent keeps.",
    remedy: "Raise podflamed's --max-stacks.",
  },
];

/** A newer agent's marker has its own name for words, and no more is known of it. */
export function markerOf(name: string): Marker {
  const known = markers.find((marker) => marker.name === name);
  return known ?? { name, words: name.replace(/^\[(.*)\]$/, "$1"), meaning: "", remedy: "" };
}

/** Both as one text, "" if nothing is known. */
export function explain(marker: Marker): string {
  return [marker.meaning, marker.remedy].filter((text) => text !== "").join(" ");
}
