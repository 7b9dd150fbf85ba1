/** The views, in the order of the navigation. A new one is a line here; its code comes when it is opened. */
import type { ComponentType } from 'preact'

export interface ViewProps {
  /** Empty for views of no dataset. */
  readonly dataset: string
  /** What stands behind the view in the address. */
  readonly args: readonly string[]
  readonly query: Readonly<Record<string, string>>
}

export interface ViewModule {
  readonly View: ComponentType<ViewProps>
}

export interface ViewEntry {
  /** In the address. */
  readonly id: string
  readonly name: string
  readonly load: () => Promise<ViewModule>
  /** It needs no dataset, nor a service. */
  readonly free?: boolean
  /** It is reached from that view only, and has no place of its own in the navigation. */
  readonly under?: string
}

export const VIEWS: readonly ViewEntry[] = [
  { id: 'safety', name: 'Safety', load: () => import('../views/safety/view.tsx') },
  { id: 'growth', name: 'Growth', load: () => import('../views/growth/view.tsx') },
  { id: 'timeline', name: 'Timeline', load: () => import('../views/timeline/view.tsx') },
  {
    id: 'diff',
    name: 'What changed',
    load: () => import('../views/diff/view.tsx'),
    under: 'timeline',
  },
  { id: 'chunks', name: 'Chunks', load: () => import('../views/chunks/view.tsx') },
  { id: 'entities', name: 'Entities', load: () => import('../views/entities/view.tsx') },
  {
    id: 'block',
    name: 'Block',
    load: () => import('../views/entities/walk.tsx'),
    under: 'entities',
  },
  { id: 'work', name: 'Work', load: () => import('../views/work/view.tsx') },
  { id: 'coverage', name: 'Coverage', load: () => import('../views/coverage/view.tsx') },
  { id: 'car', name: 'Open a CAR', load: () => import('../views/car/view.tsx'), free: true },
]
