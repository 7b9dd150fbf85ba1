/**
 * Reading the commits of a dataset: files in MFS, named by their numbers.
 *
 * A commit becomes readable an instant before it is on disk. A node that is killed in that instant
 * forgets a commit that nobody was told of but a reader may have seen; that reader gets `store_changed`.
 */
import { CairnError } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'
import { isDatasetName } from '../../model/settings.ts'
import type { CallOptions, NewestOptions, StoredCommit } from '../../store/backend.ts'
import { notAnAnswer } from './answers.ts'
import type { Mfs } from './mfs.ts'
import {
  commitNumbers,
  commitPath,
  COMMITS_A_DIRECTORY,
  datasetPath,
  DATASETS,
  directoryNumbers,
  directoryOf,
  directoryPath,
} from './paths.ts'

export interface History {
  newest(dataset: string, than: number, options?: NewestOptions): Promise<StoredCommit | undefined>
  commit(dataset: string, number: number, options?: CallOptions): Promise<Uint8Array | undefined>
  oldest(dataset: string, options?: CallOptions): Promise<number | undefined>
  datasets(options?: CallOptions): Promise<string[]>
  /** The numbers of a dataset's directories, ascending; the last may be empty. */
  directories(dataset: string, options?: CallOptions): Promise<number[]>
}

/** A reader that lost to a prune so many times is shown names of files that are not there. */
const LOOKS = 5

export function createHistory(mfs: Mfs): History {
  const commit: History['commit'] = async (dataset, number, options) =>
    Number.isSafeInteger(number) && number >= 0
      ? mfs.read(commitPath(dataset, number), options)
      : undefined
  /** `undefined`: the directory is not there. */
  const numbersIn = async (
    dataset: string,
    directory: number,
    options?: CallOptions,
  ): Promise<number[] | undefined> => {
    const names = await mfs.list(directoryPath(dataset, directory), options)
    return names && commitNumbers(names)
  }
  const directories: History['directories'] = async (dataset, options) =>
    directoryNumbers((await mfs.list(datasetPath(dataset), options)) ?? [])

  /** The highest number, from one listing where `than` is the newest and not its directory's last. */
  const highest = async (
    dataset: string,
    than: number,
    options?: CallOptions,
  ): Promise<number | undefined> => {
    if (than >= 0) {
      const last = (await numbersIn(dataset, directoryOf(than), options))?.at(-1)
      const full = last !== undefined && (last + 1) % COMMITS_A_DIRECTORY === 0
      if (last !== undefined && last >= than && !full) return last
    }
    const numbers = await firstOf(dataset, (all) => all.reverse(), options)
    return numbers?.at(-1)
  }

  /** The numbers of the first directory, in the order asked for, that has any. */
  const firstOf = async (
    dataset: string,
    order: (directories: number[]) => number[],
    options?: CallOptions,
  ): Promise<number[] | undefined> => {
    for (let look = 1; ; look++) {
      let gone = false
      for (const directory of order(await directories(dataset, options))) {
        const numbers = await numbersIn(dataset, directory, options)
        // A prune took it since it was listed, so there are newer ones.
        gone = numbers === undefined
        if (gone) break
        if (numbers !== undefined && numbers.length > 0) return numbers
      }
      if (!gone) return undefined
      if (look === LOOKS) throw notAnAnswer('files/ls', 'names of directories that are not there')
    }
  }

  /** Whether the commit that was read is still the one of its number, asked while others are. */
  const checkSame = async (
    dataset: string,
    number: number,
    { cid, signal }: NewestOptions = {},
  ): Promise<void> => {
    if (cid === undefined || number < 0) return
    const there = await mfs.cidAt(commitPath(dataset, number), { signal })
    // Missing: it was pruned, or there is nothing at all, which its number tells.
    if (there === undefined || there === printCid(cid)) return
    throw otherCommit(dataset, number)
  }

  return {
    commit,
    directories,
    async newest(dataset, than, options) {
      for (let look = 1; ; look++) {
        const [number] = await Promise.all([
          highest(dataset, than, options),
          checkSame(dataset, than, options),
        ])
        if ((number ?? -1) < than) throw storeChanged(dataset, than, number)
        if (number === undefined || number === than) return undefined
        const bytes = await commit(dataset, number, options)
        // Missing: it was pruned since the listing, so there are newer ones.
        if (bytes !== undefined) return { number, bytes }
        if (look === LOOKS) throw notAnAnswer('files/ls', `a name without a file, ${number}`)
      }
    },
    async oldest(dataset, options) {
      const numbers = await firstOf(dataset, (all) => all, options)
      return numbers?.[0]
    },
    async datasets(options) {
      const found: string[] = []
      for (const name of (await mfs.list(DATASETS, options)) ?? []) {
        if (!isDatasetName(name)) continue
        if ((await highest(name, -1, options)) !== undefined) found.push(name)
      }
      return found.sort()
    },
  }
}

function otherCommit(dataset: string, number: number): CairnError {
  return new CairnError(
    'store_changed',
    `The node now has another commit ${number} of ${dataset} than the one that was read.`,
    {
      hint: 'Is it another node, or was its repository (or /cairn in MFS) replaced? Open it anew if that was meant.',
      dataset,
      number,
    },
  )
}

function storeChanged(dataset: string, than: number, number: number | undefined): CairnError {
  return new CairnError(
    'store_changed',
    `The node no longer has commit ${than} of ${dataset}; its newest is ${number ?? 'none'}.`,
    {
      hint: 'Is it another node? If it was killed, or /cairn in MFS was changed or emptied: let it collect no garbage, and see what `cairn recover` finds; else restore from a backup.',
      dataset,
      expected: than,
      actual: number ?? -1,
    },
  )
}
