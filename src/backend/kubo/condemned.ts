/**
 * What a sweep is about to let go of, written down before it looks who relies on it, for writers that
 * look the other way round: `/cairn/condemned/<name of the sweep>/<first CID of the file>`, each file a
 * sorted part of the list, a CID a line. ADR 9 has the argument.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError, throwIfAborted } from '../../errors.ts'
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { LeaseFolder } from './leases.ts'
import type { Mfs } from './mfs.ts'
import { CONDEMNED } from './paths.ts'

/** Keeps a file, which is a block, under 256 KiB. */
const CIDS_A_FILE = 4_000
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 1_000

export interface Condemned {
  /** Durable when it returns. */
  write(sweep: string, cids: readonly string[], options?: CallOptions): Promise<void>
  clear(sweep: string): Promise<void>
  pathOf(sweep: string): string
  /** Waits until no sweep that is not void has any of `cids` on its list. */
  passed(cids: readonly CidBytes[], options?: CallOptions): Promise<void>
}

export function createCondemned(mfs: Mfs, sweeps: LeaseFolder, waitMs: number): Condemned {
  const anyOn = async (
    sweep: string,
    cids: readonly string[],
    options?: CallOptions,
  ): Promise<boolean> => {
    const files = ((await mfs.list(`${CONDEMNED}/${sweep}`, options)) ?? []).sort()
    const wanted = new Map<string, string[]>()
    for (const cid of cids) {
      const file = files.findLast((first) => first <= cid)
      if (file !== undefined) wanted.set(file, [...(wanted.get(file) ?? []), cid])
    }
    for (const [file, some] of wanted) {
      const text = await mfs.read(`${CONDEMNED}/${sweep}/${file}`, options)
      const listed = new Set(
        Buffer.from(text ?? [])
          .toString()
          .split('\n'),
      )
      if (some.some((cid) => listed.has(cid))) return true
    }
    return false
  }
  const isOver = async (sweep: string, options?: CallOptions): Promise<boolean> => {
    const lease = (await sweeps.list(options)).find(({ name }) => name === sweep)
    return lease === undefined || sweeps.isVoid(lease)
  }
  const anyCondemned = async (cids: readonly string[], options?: CallOptions): Promise<boolean> => {
    for (const sweep of (await mfs.list(CONDEMNED, options)) ?? []) {
      if ((await anyOn(sweep, cids, options)) && !(await isOver(sweep, options))) return true
    }
    return false
  }

  return {
    async write(sweep, cids, options) {
      const sorted = cids.toSorted()
      for (let at = 0; at < sorted.length; at += CIDS_A_FILE) {
        const some = sorted.slice(at, at + CIDS_A_FILE)
        const path = `${CONDEMNED}/${sweep}/${some[0] ?? ''}`
        await mfs.put(path, Buffer.from(some.join('\n')), options)
      }
    },
    clear: (sweep) => mfs.remove([`${CONDEMNED}/${sweep}`]),
    pathOf: (sweep) => `${CONDEMNED}/${sweep}`,
    async passed(cids, options) {
      const texts = cids.map(printCid)
      const giveUpAt = performance.now() + waitMs
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        if (!(await anyCondemned(texts, options))) return
        if (performance.now() + pause > giveUpAt) throw stillCondemned()
        await sleep(pause)
        throwIfAborted(options?.signal)
      }
    },
  }
}

function stillCondemned(): CairnError {
  return new CairnError('backend_timeout', 'A prune that frees what is needed here does not end.', {
    hint: 'Wait for it. One that died, or lost the node, stands in the way for up to an hour.',
  })
}
