/**
 * Breaking up bundles: one of which only a part is needed goes, once that part has pins of its own.
 *
 * It comes before a sweep looks at pins. A crash on the way leaves pins of what is needed, and the
 * bundle. Who puts a block that only a bundle holds pins it anew, so nobody but kept commits relies on
 * what is given up here, and what those need is marked.
 *
 * One whose pin is gone holds nothing, so it goes in the same way. One that is pinned and whose block is
 * lost or damaged (a power cut, a bad disk) stops the node's collector, and nothing tells what it held:
 * before it goes, all that is needed and that no other bundle holds gets pins.
 */
import { cidKey, cidMatches, cidParts, CODEC_RAW, type CidBytes } from '../../model/cid.ts'
import type { CallOptions, HeldCid } from '../../store/backend.ts'
import type { KuboClient } from './client.ts'
import { importBlocks } from './dag-import.ts'
import { heldBy } from './holder.ts'
import { PINS_A_REQUEST, pinDirectly, withoutPin } from './pins.ts'
import { getBlocks } from './blocks.ts'

/** What a sweep has marked: what is held deep by its CID, all by their digests, as holders link to them. */
export class Marks {
  readonly #byCid = new Map<string, HeldCid>()
  readonly #byDigest = new Map<string, HeldCid>()

  /** False when it was marked before. */
  add(held: HeldCid): boolean {
    const key = cidKey(held.cid)
    const before = this.#byCid.get(key)
    if (before !== undefined && (before.hold === 'deep' || held.hold === 'self')) return false
    this.#byCid.set(key, held)
    const digest = digestKey(held.cid)
    if (held.hold === 'deep' || !this.#byDigest.has(digest)) this.#byDigest.set(digest, held)
    return before === undefined
  }

  has(key: string): boolean {
    return this.#byCid.has(key)
  }

  all(): HeldCid[] {
    return [...this.#byCid.values()]
  }

  /** The marks of those that a holder links to. */
  ofAll(links: readonly CidBytes[]): HeldCid[] {
    return links.flatMap((link) => {
      const { codec } = cidParts(link)
      return (
        (codec === CODEC_RAW
          ? this.#byDigest.get(digestKey(link))
          : this.#byCid.get(cidKey(link))) ?? []
      )
    })
  }
}

const digestKey = (cid: CidBytes): string => cidKey(cidParts(cid).digest)

/** `broken` may go now. What is neither is not ours. */
export async function breakUp(
  client: KuboClient,
  bundles: readonly CidBytes[],
  marks: Marks,
  options?: CallOptions,
): Promise<{ needed: CidBytes[]; broken: CidBytes[] }> {
  const needed: CidBytes[] = []
  const broken: CidBytes[] = []
  const held = new Set<HeldCid>()
  let unread = false
  const unpinned = new Set(await withoutPin(client, bundles, ['recursive'], options))
  for (const bundle of bundles) {
    const pinned = !unpinned.has(bundle)
    const members = await membersOf(client, bundle, options)
    if (members === 'not a bundle') continue
    const marked = marks.ofAll(members ?? [])
    if (pinned && marked.length > 0 && marked.length === members?.length) {
      needed.push(bundle)
      for (const mark of marked) held.add(mark)
      continue
    }
    await pinEach(client, marked, options)
    unread ||= pinned && members === undefined
    broken.push(bundle)
  }
  if (unread)
    await pinEach(
      client,
      marks.all().filter((mark) => !held.has(mark)),
      options,
    )
  return { needed, broken }
}

/** `undefined`: its block is not there, or damaged. */
async function membersOf(
  client: KuboClient,
  bundle: CidBytes,
  options?: CallOptions,
): Promise<CidBytes[] | 'not a bundle' | undefined> {
  const [bytes] = await getBlocks(client, [bundle], options)
  if (bytes === undefined || !cidMatches(bundle, bytes)) return undefined
  return heldBy(bytes) ?? 'not a bundle'
}

async function pinEach(
  client: KuboClient,
  held: readonly HeldCid[],
  options?: CallOptions,
): Promise<void> {
  const of = (hold: HeldCid['hold']): CidBytes[] =>
    held.filter((one) => one.hold === hold).map(({ cid }) => cid)
  const deep = await withoutPin(client, of('deep'), ['recursive'], options)
  for (let at = 0; at < deep.length; at += PINS_A_REQUEST)
    await importBlocks(client, deep.slice(at, at + PINS_A_REQUEST), [], options)
  const alone = await withoutPin(client, of('self'), ['recursive', 'direct'], options)
  await pinDirectly(client, alone, options)
}
