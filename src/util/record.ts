/** Objects with some of the fields of another. */

export function pick<T extends object, K extends keyof T>(
  record: T,
  ...fields: readonly K[]
): Pick<T, K> {
  return filtered(record, (field) => fields.some((one) => one === field)) as Pick<T, K>
}

export function omit<T extends object, K extends keyof T>(
  record: T,
  ...fields: readonly K[]
): Omit<T, K> {
  return filtered(record, (field) => fields.every((one) => one !== field)) as Omit<T, K>
}

function filtered(record: object, wants: (field: string) => boolean): object {
  return Object.fromEntries(Object.entries(record).filter(([field]) => wants(field)))
}
