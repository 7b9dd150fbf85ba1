/**
 * Breaking up bundles: one of which only a part is needed goes, once that part has pins of its own.
 *
 * It comes before a sweep looks at pins. A crash on the way leaves pins of what is needed, and the
 * bundle. Who puts a block that only a bundle holds pins it anew, so nobody but kept commits relies on
 * what is given up here, and what those need is marked.
 */
import { cidKey, cidMatches, cidParts, CODEC_RAW, type CidBytes } from '../../model/cid.ts'
import type { CallOptions, HeldCid } from '../../store/backend.ts'
import type { KuboClient } from './client.ts'
import { importBlocks } from './dag-import.ts'
import { heldBy } from './holder.ts'
import { pinDirectly, withoutPin } from './pins.ts'
import { getBlocks } from './blocks.ts'

const PINS_A_REQUEST = 64

/** What a sweep has marked: what is held deep by its CID, all by their digests, as holders link to them. */
export class Marks {
  readonly #byCid = new Map<string, HeldCid>()
  readonly #byDigest = new Map<string, HeldCid>()

  /** False when it was marked before. */
  add(held: HeldCid): boolean {
    const key = cidKey(held.cid)
    if (this.#byCid.has(key)) return false
    this.#byCid.set(key, held)
    const digest = digestKey(held.cid)
    if (held.hold === 'deep' || !this.#byDigest.has(digest)) this.#byDigest.set(digest, held)
    return true
  }

  has(key: string): boolean {
    return this.#byCid.has(key)
  }

  /** The mark of what a holder links to. */
  of(link: CidBytes): HeldCid | undefined {
    const { codec } = cidParts(link)
    return codec === CODEC_RAW ? this.#byDigest.get(digestKey(link)) : this.#byCid.get(cidKey(link))
  }
}

const digestKey = (cid: CidBytes): string => cidKey(cidParts(cid).digest)

/** `broken` may go now. */
export async function breakUp(
  client: KuboClient,
  bundles: readonly CidBytes[],
  marks: Marks,
  options?: CallOptions,
): Promise<{ needed: CidBytes[]; broken: CidBytes[] }> {
  const needed: CidBytes[] = []
  const broken: CidBytes[] = []
  for (const bundle of bundles) {
    const members = await membersOf(client, bundle, options)
    const marked = members.map((link) => marks.of(link)).filter((mark) => mark !== undefined)
    if (members.length > 0 && marked.length === members.length) {
      needed.push(bundle)
      continue
    }
    await pinEach(client, marked, options)
    broken.push(bundle)
  }
  return { needed, broken }
}

/** Of a bundle that a crash kept from the node there are none. */
async function membersOf(
  client: KuboClient,
  bundle: CidBytes,
  options?: CallOptions,
): Promise<CidBytes[]> {
  const [bytes] = await getBlocks(client, [bundle], options)
  return bytes === undefined || !cidMatches(bundle, bytes) ? [] : heldBy(bytes)
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
