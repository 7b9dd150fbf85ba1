/**
 * Where things lie in MFS. On-disk: a change here needs a move of what older versions wrote.
 *
 * Commits lie 256 to a directory, `/cairn/datasets/DATASET/<directory>/<number>`, both zero-padded,
 * because the cost of putting one in place grows with its directory.
 */
import { posix } from 'node:path'
import { CairnError } from '../../errors.ts'
import { isDatasetName } from '../../model/settings.ts'

export const INTENTS = '/cairn/intents'
export const BUNDLES = '/cairn/bundles'
export const LEASES = '/cairn/leases'
export const STAGINGS = '/cairn/stagings'
export const SWEEPS = '/cairn/sweeps'
export const CONDEMNED = '/cairn/condemned'
export const DATASETS = '/cairn/datasets'
export const COMMITS_A_DIRECTORY = 256

const DIRECTORY_DIGITS = 8
const NUMBER_DIGITS = 10

export function datasetPath(dataset: string): string {
  if (!isDatasetName(dataset)) {
    throw new CairnError(
      'usage',
      `${JSON.stringify(dataset.slice(0, 80))} is not a dataset's name.`,
      {
        hint: 'Use up to 64 lower-case letters, digits, "-" and "_".',
      },
    )
  }
  return `${DATASETS}/${dataset}`
}

/** What is put into such a folder makes the node read the folders of commits anew, which others may be changing. */
export const holdsCommits = (folder: string): boolean =>
  folder === DATASETS || folder === posix.dirname(DATASETS) || folder === '/'

export const indexPointerPath = (dataset: string): string => `${datasetPath(dataset)}/index-pointer`

export const directoryOf = (number: number): number => Math.floor(number / COMMITS_A_DIRECTORY)

export function directoryPath(dataset: string, directory: number): string {
  return `${datasetPath(dataset)}/${String(directory).padStart(DIRECTORY_DIGITS, '0')}`
}

export function commitPath(dataset: string, number: number): string {
  const name = String(number).padStart(NUMBER_DIGITS, '0')
  return `${directoryPath(dataset, directoryOf(number))}/${name}`
}

/** The numbers among the names of a directory, ascending; other names are other people's. */
export function directoryNumbers(names: readonly string[]): number[] {
  return numbersOf(names, DIRECTORY_DIGITS)
}

export function commitNumbers(names: readonly string[]): number[] {
  return numbersOf(names, NUMBER_DIGITS)
}

function numbersOf(names: readonly string[], digits: number): number[] {
  return names
    .filter((name) => name.length === digits && /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
}
