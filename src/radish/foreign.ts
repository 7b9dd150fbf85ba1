/** Telling files that are no JSON by their first bytes: above all pickles, which nobody may load. Pure. */

interface ForeignKind {
  readonly name: 'pickle' | 'zip' | 'compressed' | 'binary'
  readonly what: string
  readonly hint: string
}

const PICKLE: ForeignKind = {
  name: 'pickle',
  what: 'a pickle, which can run any program when it is loaded, so Cairn never loads one',
  hint: 'Convert it on a machine that may be lost, with scripts/pickle-to-json.py; docs/guides/radish.md says how.',
}

const PACKED: Omit<ForeignKind, 'name'> = {
  what: 'an archive or a compressed file',
  hint: 'Unpack it first, and look at what is in it: it may be a pickle.',
}

const BINARY: ForeignKind = {
  name: 'binary',
  what: 'not text',
  hint: 'Name files that the old system, or `cairn export --layout radish`, wrote.',
}

const MAGIC: readonly (readonly [number[], ForeignKind['name']])[] = [
  [[0x50, 0x4b, 0x03, 0x04], 'zip'],
  [[0x1f, 0x8b], 'compressed'],
  [[0x42, 0x5a, 0x68], 'compressed'],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], 'compressed'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'compressed'],
]

/** A pickle of protocol 0 or 1 has no magic: it begins with a mark, a container, or the name of a class. */
const OLD_PICKLE = /^(?:\([dlcit]p?\d*\n?|\(lp|\(dp|c[A-Za-z_][\w.]*\r?\n[A-Za-z_]|\}q|\]q)/
const LAST_PROTOCOL = 5

export function foreignKind(start: Uint8Array): ForeignKind | undefined {
  const [first = 0, second = 0] = start
  if (first === 0x80 && second >= 2 && second <= LAST_PROTOCOL) return PICKLE
  if (OLD_PICKLE.test(Buffer.from(start).toString('latin1'))) return PICKLE
  for (const [magic, name] of MAGIC)
    if (magic.every((byte, i) => start[i] === byte)) return { name, ...PACKED }
  return start.some((byte) => byte < 0x09 || byte >= 0xf5) ? BINARY : undefined
}
