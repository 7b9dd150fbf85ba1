/**
 * Keeps a pointer of the old shape current at one path in MFS, for tools that read it. Never read as truth.
 *
 * Invariant: what Cairn did not write, or wrote for another dataset, is never written over unless told
 * (`force`), and then only when a copy lies beside it. A name that is free is taken by `files cp`, which
 * refuses one that is not, so that of two datasets that begin at once one has it. MFS cannot
 * compare and set, so what another program writes between our look and our write is lost; what it writes at
 * any other time is found at the next look.
 */
import { posix } from 'node:path'
import { CairnError } from '../../errors.ts'
import type { ArkeShape } from '../../model/arke-pointer.ts'
import { bytesEqual, printCid, rawCidOf } from '../../model/cid.ts'
import { decodeCommit } from '../../model/commit.ts'
import type { CallOptions } from '../../store/backend.ts'
import { datasetOfPointer, encodeCompatPointer } from './compat-pointer.ts'
import type { History } from './history.ts'
import type { Importer } from './import.ts'
import type { Mfs } from './mfs.ts'
import { copyNewest, createMirror, type WriteCopy } from './mirror.ts'
import { holdsCommits } from './paths.ts'
import { means } from './refusals.ts'

export interface CompatOptions {
  readonly shape: ArkeShape
  /** The path of a file in MFS; `/arke/index-pointer` unless given. */
  readonly path?: string | undefined
  /** The one that the pointer is of. */
  readonly dataset: string
  /** Replace, once, what something else wrote; it is kept beside it. */
  readonly force?: boolean | undefined
}

export interface Compat {
  readonly path: string
  /** There is a newer commit. */
  poke(dataset: string): void
  settled(): Promise<void>
  /** Makes the pointer current; `conflict` if what is there is not this dataset's. */
  claim(call?: CallOptions): Promise<void>
}

export interface CompatTools {
  readonly mfs: Mfs
  readonly history: History
  readonly importer: Importer
  readonly onError: (error: unknown) => void
}

const DEFAULT_PATH = '/arke/index-pointer'
const COPY_SUFFIX = '.before-cairn'

export function createCompat(tools: CompatTools, options: CompatOptions): Compat {
  const { mfs, history, importer, onError } = tools
  const { shape, dataset } = options
  const path = checkPath(options.path ?? DEFAULT_PATH)
  let mayForce = options.force === true

  /** Whether the name was free. */
  const create = async (bytes: Uint8Array, call?: CallOptions): Promise<boolean> => {
    const cid = rawCidOf(bytes)
    await mfs.makeDirectory(posix.dirname(path), call)
    const spec = { dataset, purpose: 'a compatible pointer', blocks: [{ cid, bytes }] }
    const letGo = await importer.putForNow(spec, call)
    try {
      await mfs.link(printCid(cid), path, call)
      return true
    } catch (error) {
      if (means(error, 'nameTaken')) return false
      throw error
    } finally {
      letGo()
    }
  }

  const checkOwner = (there: Uint8Array): boolean => {
    const owner = datasetOfPointer(there)
    if (owner !== dataset && !mayForce) throw notOurs(path, owner)
    return owner === dataset
  }

  /** A death between the copy and what replaces it leaves both; the next copy finds the first. */
  const keepCopy = async (bytes: Uint8Array, call?: CallOptions): Promise<void> => {
    for (let n = 1; ; n++) {
      const copy = `${path}${COPY_SUFFIX}${n === 1 ? '' : `-${n}`}`
      const there = await mfs.read(copy, call)
      if (there === undefined) return mfs.write(copy, bytes, call)
      if (bytesEqual(there, bytes)) return
    }
  }

  const put = async (bytes: Uint8Array, call?: CallOptions): Promise<void> => {
    for (;;) {
      const there = await mfs.read(path, call)
      if (there === undefined) {
        if (await create(bytes, call)) return
        continue
      }
      if (bytesEqual(there, bytes)) return
      if (!checkOwner(there)) await keepCopy(there, call)
      await mfs.rewrite(path, bytes, call)
      mayForce = false
      return
    }
  }
  const write: WriteCopy = (_, commit, call) =>
    put(encodeCompatPointer(shape, decodeCommit(commit).commit), call)
  const mirror = createMirror(history, write, onError)

  return {
    path,
    poke: (changed) => {
      if (changed === dataset) mirror.poke(dataset)
    },
    settled: () => mirror.settled(),
    async claim(call) {
      if (await copyNewest(history, dataset, write, call)) return
      const there = await mfs.read(path, call)
      if (there !== undefined) checkOwner(there)
    },
  }
}

function checkPath(path: string): string {
  const isFile = /^(\/[^/]+)+$/.test(path) && posix.normalize(path) === path
  if (isFile && !holdsCommits(posix.dirname(path)) && !/^\/cairn(\/|$)/.test(path)) return path
  throw new CairnError('config', `"${path}" cannot be the path of a compatible pointer.`, {
    hint: 'It is the path of a file in a folder of MFS and not below /cairn, such as /arke/index-pointer.',
    path,
  })
}

function notOurs(path: string, owner: string | undefined): CairnError {
  const whose =
    owner === undefined
      ? 'was written or changed by another program'
      : `is that of the dataset ${owner}`
  return new CairnError('conflict', `The pointer at ${path} on the node ${whose}.`, {
    hint: 'Stop what writes it and give --compat-force (which keeps a copy), or another --compat-path, or --compat none.',
    path,
  })
}
