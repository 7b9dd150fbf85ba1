/** Where one browses, a service or CARs that are open: who answers, and the addresses of what is there. */
import type { Target } from '../../app/router.ts'
import { hrefTo } from '../../app/router.ts'
import type { Source } from '../../source.ts'

export type What = 'entities' | 'block'
export type Query = Readonly<Record<string, string | undefined>>

export interface Place {
  readonly source: Source
  /** Differs for each thing that is browsed. */
  readonly key: string
  /** Differs when something was written. */
  readonly turn: string
  readonly target: (what: What, arg?: string, query?: Query) => Target
  /** Where a block lies, if that can be told. */
  readonly findBlock?: (
    cid: string,
  ) => Promise<{ readonly path: string; readonly offset: number } | null>
}

export const entitiesHref = ({ target }: Place, query?: Query): string =>
  hrefTo(target('entities', undefined, query))

export const entityHref = ({ target }: Place, pi: string, query?: Query): string =>
  hrefTo(target('entities', pi, query))

export const blockHref = ({ target }: Place, cid: string, query?: Query): string =>
  hrefTo(target('block', cid, query))
