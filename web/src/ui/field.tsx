/** Fields of forms, each with its label, a hint, and what is wrong with it. */
import type { ComponentChildren, VNode } from 'preact'
import { useId } from 'preact/hooks'

interface Common {
  readonly label: string
  readonly hint?: ComponentChildren
  readonly error?: string | undefined
  /** The label is for screen readers only. */
  readonly bare?: boolean
}

export interface FieldProps extends Common {
  readonly value: string
  readonly onInput: (value: string) => void
  readonly type?: 'text' | 'password' | 'search' | 'number' | 'datetime-local'
  readonly placeholder?: string
  readonly autoComplete?: string
  readonly autoFocus?: boolean
  readonly required?: boolean
}

export function Field(props: FieldProps): VNode {
  const { label, hint, error, bare, value, onInput, type = 'text', ...rest } = props
  return (
    <Labelled label={label} hint={hint} error={error} bare={bare}>
      {(attributes) => (
        <input
          {...attributes}
          {...rest}
          class="input"
          // The types that Preact allows depend on the role; this has none.
          // oxlint-disable-next-line typescript/no-unnecessary-type-assertion
          type={type as 'text'}
          value={value}
          spellcheck={false}
          onInput={({ currentTarget }) => onInput(currentTarget.value)}
        />
      )}
    </Labelled>
  )
}

export interface SelectProps<T extends string> extends Common {
  readonly value: T
  readonly options: readonly (readonly [value: T, text: string])[]
  readonly onChange: (value: T) => void
}

export function Select<T extends string>(props: SelectProps<T>): VNode {
  const { label, hint, error, bare, value, options, onChange } = props
  return (
    <Labelled label={label} hint={hint} error={error} bare={bare}>
      {(attributes) => (
        <select
          {...attributes}
          class="input select"
          value={value}
          onChange={({ currentTarget }) => onChange(currentTarget.value as T)}
        >
          {options.map(([one, text]) => (
            <option key={one} value={one} selected={one === value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  )
}

export interface CheckProps {
  readonly label: ComponentChildren
  readonly checked: boolean
  readonly onChange: (checked: boolean) => void
}

export function Check({ label, checked, onChange }: CheckProps): VNode {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={checked}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
      <span>{label}</span>
    </label>
  )
}

interface Attributes {
  readonly id: string
  readonly 'aria-describedby'?: string
  readonly 'aria-invalid'?: boolean
}

interface LabelledProps {
  readonly label: string
  readonly hint: ComponentChildren
  readonly error: string | undefined
  readonly bare: boolean | undefined
  readonly children: (attributes: Attributes) => VNode
}

function Labelled({ label, hint, error, bare = false, children }: LabelledProps): VNode {
  const id = useId()
  const about = [
    ...(hint === undefined ? [] : [`${id}-hint`]),
    ...(error === undefined ? [] : [`${id}-error`]),
  ].join(' ')
  return (
    <div class="field">
      <label for={id} class={bare ? 'aside' : 'label'}>
        {label}
      </label>
      {children({
        id,
        ...(about === '' ? {} : { 'aria-describedby': about }),
        ...(error === undefined ? {} : { 'aria-invalid': true }),
      })}
      {hint !== undefined && (
        <p id={`${id}-hint`} class="small muted">
          {hint}
        </p>
      )}
      {error !== undefined && (
        <p id={`${id}-error`} class="small field-error" role="alert">
          {error}
        </p>
      )}
    </div>
  )
}
