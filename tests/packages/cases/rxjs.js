const { of, from, interval, lastValueFrom, Subject, throwError, combineLatest } = require('rxjs');
const { map, filter, reduce, mergeMap, take, toArray, scan, catchError, bufferCount } = require('rxjs');

module.exports = async () => {
  const subject = new Subject();
  const seen = [];
  subject.pipe(scan((sum, n) => sum + n, 0)).subscribe((n) => seen.push(n));
  [1, 2, 3].forEach((n) => subject.next(n));
  return {
    sum: await lastValueFrom(from([1, 2, 3, 4]).pipe(filter((n) => n % 2), reduce((a, b) => a + b))),
    merged: await lastValueFrom(of(1, 2).pipe(mergeMap((n) => from(Promise.resolve(n * 10))), toArray())),
    ticks: await lastValueFrom(interval(1).pipe(take(3), map((n) => n * n), toArray())),
    seen,
    caught: await lastValueFrom(throwError(() => new Error('no')).pipe(catchError((e) => of(e.message)))),
    latest: await lastValueFrom(combineLatest([of(1, 2), of('a', 'b')]).pipe(toArray())),
    buffers: await lastValueFrom(from([1, 2, 3, 4, 5]).pipe(bufferCount(2), toArray())),
  };
};
