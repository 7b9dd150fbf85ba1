/** Asking for the token, and for the dataset where the token may not see which there are. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren, VNode } from 'preact'
import { Button } from '../ui/button.tsx'
import { Check, Field } from '../ui/field.tsx'
import { Stones } from '../ui/stones.tsx'
import { navigate } from './router.ts'
import { access, signIn } from './session.ts'

export function SignIn(): VNode {
  const text = useSignal('')
  const remember = useSignal(false)
  const refused = access.value === 'refused'
  const submit = (): void => {
    const token = text.value.trim()
    if (token !== '') signIn(token, remember.value)
  }
  return (
    <Asking title="Sign in" onSubmit={submit}>
      <Field
        label="Token"
        type="password"
        autoComplete="current-password"
        autoFocus
        required
        value={text.value}
        onInput={(value) => (text.value = value)}
        error={refused ? 'This token is not known. It may have been revoked.' : undefined}
        hint={
          <>
            <code>cairn token create NAME</code> on the server makes one.
          </>
        }
      />
      <Check
        label="Remember on this device"
        checked={remember.value}
        onChange={(checked) => (remember.value = checked)}
      />
      <Button kind="primary" type="submit">
        Sign in
      </Button>
    </Asking>
  )
}

export function AskDataset(): VNode {
  const name = useSignal('')
  return (
    <Asking
      title="Which dataset?"
      onSubmit={() => navigate({ dataset: name.value.trim(), view: 'safety' })}
    >
      <Field
        label="Name of the dataset"
        autoFocus
        required
        value={name.value}
        onInput={(value) => (name.value = value)}
        hint="Your token is for some datasets only, and may not list them."
      />
      <Button kind="primary" type="submit">
        Open
      </Button>
    </Asking>
  )
}

interface AskingProps {
  readonly title: string
  readonly onSubmit: () => void
  readonly children: ComponentChildren
}

function Asking({ title, onSubmit, children }: AskingProps): VNode {
  return (
    <main class="main main-alone">
      <form
        class="signin card"
        onSubmit={(event) => {
          event.preventDefault()
          onSubmit()
        }}
      >
        <span class="brand">
          <Stones />
          Cairn
        </span>
        <h1>{title}</h1>
        {children}
      </form>
    </main>
  )
}
