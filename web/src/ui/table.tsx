/** Tables with a caption; on a phone each row is a card, where every cell says what it is. */
import type { ComponentChildren, VNode } from 'preact'
import { useState } from 'preact/hooks'

export interface Column<T> {
  readonly name: string
  readonly cell: (row: T) => ComponentChildren
  /** Numbers stand on the right. */
  readonly number?: boolean
  /** Rows can be sorted by it. */
  readonly sort?: (row: T) => number | string
  /** Heads its row. */
  readonly head?: boolean
}

export interface TableProps<T> {
  readonly caption: string
  readonly showCaption?: boolean
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly rowKey: (row: T) => string | number
}

interface Order {
  readonly column: number
  readonly down: boolean
}

export function Table<T>({ caption, showCaption, columns, rows, rowKey }: TableProps<T>): VNode {
  const [order, setOrder] = useState<Order | undefined>(undefined)
  return (
    <div class="table-box">
      {/* Where rows are shown as cards, browsers forget what these elements are: hence the roles. */}
      <table class="table" role="table">
        <caption class={showCaption === true ? undefined : 'aside'}>{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column, i) => (
              <HeadCell
                key={column.name}
                column={column}
                order={order?.column === i ? order : undefined}
                onSort={() => setOrder(nextOrder(order, i))}
              />
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {sorted(rows, columns, order).map((row) => (
            <tr key={rowKey(row)} role="row">
              {columns.map((column) => (
                <Cell key={column.name} column={column} row={row} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface HeadCellProps<T> {
  readonly column: Column<T>
  readonly order: Order | undefined
  readonly onSort: () => void
}

function HeadCell<T>({ column: { name, number, sort }, order, onSort }: HeadCellProps<T>): VNode {
  const direction = order === undefined ? undefined : order.down ? 'descending' : 'ascending'
  return (
    <th
      scope="col"
      role="columnheader"
      class={number === true ? 'number' : ''}
      aria-sort={direction}
    >
      {sort === undefined ? (
        name
      ) : (
        <button type="button" class="sort" onClick={onSort}>
          {name}
          <span aria-hidden="true">{order === undefined ? '' : order.down ? ' ↓' : ' ↑'}</span>
        </button>
      )}
    </th>
  )
}

function Cell<T>({ column, row }: { column: Column<T>; row: T }): VNode {
  const attributes = { class: column.number === true ? 'number' : '', 'data-name': column.name }
  return column.head === true ? (
    <th scope="row" role="rowheader" {...attributes}>
      {column.cell(row)}
    </th>
  ) : (
    <td role="cell" {...attributes}>
      {column.cell(row)}
    </td>
  )
}

/** Down, up, and as it came. */
function nextOrder(order: Order | undefined, column: number): Order | undefined {
  if (order?.column !== column) return { column, down: true }
  return order.down ? { column, down: false } : undefined
}

function sorted<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  order: Order | undefined,
): readonly T[] {
  const by = order === undefined ? undefined : columns[order.column]?.sort
  if (order === undefined || by === undefined) return rows
  const sign = order.down ? -1 : 1
  return rows.toSorted((a, b) => {
    const [left, right] = [by(a), by(b)]
    return sign * (left < right ? -1 : left > right ? 1 : 0)
  })
}
