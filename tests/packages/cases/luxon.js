const { DateTime, Duration, Interval } = require('luxon');

module.exports = () => {
  const time = DateTime.fromISO('2024-02-29T12:34:56.789Z', { zone: 'utc' });
  return {
    iso: [time.toISO(), time.toISODate(), time.toISOWeekDate(), time.toHTTP()],
    formatted: time.toFormat('yyyy LL dd HH:mm:ss.SSS'),
    math: [time.plus({ months: 1, days: 2 }).toISO(), time.endOf('month').day, time.startOf('week').toISODate()],
    diff: [time.diff(DateTime.utc(2020, 1, 1), ['years', 'months', 'days']).toObject(), Duration.fromObject({ hours: 25, minutes: 61 }).normalize().toISO()],
    interval: Interval.fromDateTimes(time, time.plus({ days: 3 })).splitBy({ days: 1 }).length,
    parsed: [DateTime.fromFormat('31.12.2023', 'dd.MM.yyyy', { zone: 'utc' }).toMillis(), DateTime.fromISO('2024-02-30').isValid],
    offset: DateTime.fromISO('2024-01-01T00:00:00+02:00', { setZone: true }).toISO(), words: time.toFormat('cccc, LLLL d'),
  };
};
