/** The options of a command, as commander has read them: texts, lists of texts and switches. */
import { CairnError } from '../errors.ts'
import { parseCount, parseJsonObject, parseTimeFlag } from './parse.ts'

export class Options {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  has(flag: string): boolean {
    return this.#values[attribute(flag)] !== undefined
  }

  switch(flag: string): boolean {
    return this.#values[attribute(flag)] === true
  }

  text(flag: string): string | undefined {
    const value = this.#values[attribute(flag)]
    return typeof value === 'string' ? value : undefined
  }

  texts(flag: string): readonly string[] | undefined {
    const value = this.#values[attribute(flag)]
    return Array.isArray(value) ? value.map(String) : undefined
  }

  count(flag: string, least = 0): number | undefined {
    const text = this.text(flag)
    return text === undefined ? undefined : parseCount(flag, text, least)
  }

  time(flag: string): number | undefined {
    const text = this.text(flag)
    return text === undefined ? undefined : parseTimeFlag(flag, text)
  }

  object(flag: string): Record<string, unknown> | undefined {
    const text = this.text(flag)
    return text === undefined ? undefined : parseJsonObject(flag, text)
  }

  /** Refuses more than one of `flags`. */
  atMostOne(...flags: readonly string[]): void {
    const given = flags.filter((flag) => this.has(flag))
    if (given.length < 2) return
    throw new CairnError('usage', `${given.join(' and ')} cannot be given together.`, {
      hint: 'Leave one of them out.',
    })
  }
}

/** `--dry-run` is `dryRun` to commander. */
export function attribute(flag: string): string {
  return flag.replace(/^--/, '').replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** For an option that may be repeated. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text]
}
