/** The top of the page: which dataset, whether it is safe, light or dark, and signing out. */
import type { VNode } from 'preact'
import { Button } from '../ui/button.tsx'
import { Badge } from '../ui/card.tsx'
import { Select } from '../ui/field.tsx'
import { Stones } from '../ui/stones.tsx'
import { datasets } from './datasets.ts'
import { useHealth } from './health.ts'
import { hrefTo, navigate } from './router.ts'
import { hasToken, signOut } from './session.ts'
import { ThemeButton } from './theme-button.tsx'

export function Head({ dataset }: { dataset: string }): VNode {
  return (
    <header class="head">
      <a class="brand" href={hrefTo({ dataset, view: 'safety' })} aria-label="Cairn, to Safety">
        <Stones />
        <span class="brand-name">Cairn</span>
      </a>
      <Picker dataset={dataset} />
      <Safety key={dataset} dataset={dataset} />
      <div class="head-end">
        <ThemeButton />
        {hasToken.value && (
          <Button small onClick={signOut}>
            Sign out
          </Button>
        )}
      </div>
    </header>
  )
}

function Picker({ dataset }: { dataset: string }): VNode {
  const names = datasets.value
  const all = names.includes(dataset) ? names : [dataset, ...names]
  if (all.length < 2) return <span class="muted">{dataset}</span>
  return (
    <div class="picker">
      <Select
        label="Dataset"
        bare
        value={dataset}
        options={all.map((name) => [name, name] as const)}
        onChange={(name) => navigate({ dataset: name, view: 'safety' })}
      />
    </div>
  )
}

const WORDS = { ok: 'Safe', warning: 'Look at this', critical: 'Act now' } as const

function Safety({ dataset }: { dataset: string }): VNode | null {
  const level = useHealth(dataset).data.value?.level
  if (level === undefined) return null
  return (
    <a class="badge-link" href={hrefTo({ dataset, view: 'safety' })}>
      <Badge level={level}>{WORDS[level]}</Badge>
    </a>
  )
}
