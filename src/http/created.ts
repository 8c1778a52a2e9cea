/** What a handler returns to answer 201: the new thing, and where it is, as a path below `/api/v…`. */
export class Created<T> {
  constructor(
    readonly location: string,
    readonly body: T,
  ) {}
}
