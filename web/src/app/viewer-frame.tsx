/** The frame of the viewer: no dataset, no service, one view. */
import type { ComponentChildren, VNode } from 'preact'
import { Announcer } from '../ui/announcer.tsx'
import { Stones } from '../ui/stones.tsx'
import { ThemeButton } from './theme-button.tsx'

export function ViewerFrame({ children }: { children: ComponentChildren }): VNode {
  return (
    <div class="frame frame-bare">
      <header class="head">
        <span class="brand">
          <Stones />
          Cairn CAR viewer
        </span>
        <div class="head-end">
          <ThemeButton />
        </div>
      </header>
      <main class="main" id="main" tabIndex={-1}>
        {children}
      </main>
      <Announcer />
    </div>
  )
}
