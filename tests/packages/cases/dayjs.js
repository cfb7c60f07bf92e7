const dayjs = require('dayjs');
const utc = require('dayjs/plugin/utc');
const duration = require('dayjs/plugin/duration');
const relativeTime = require('dayjs/plugin/relativeTime');
const customParseFormat = require('dayjs/plugin/customParseFormat');
require('dayjs/locale/de');

[utc, duration, relativeTime, customParseFormat].forEach((plugin) => dayjs.extend(plugin));

module.exports = () => {
  const day = dayjs.utc('2024-02-29T12:34:56.789Z');
  return {
    formatted: day.format('dddd, MMMM D, YYYY h:mm:ss.SSS A [week] Z'), german: day.locale('de').format('dddd, D. MMMM'),
    added: [day.add(1, 'year').format(), day.subtract(1, 'month').toISOString(), day.endOf('month').format('DD')],
    diff: [day.diff('2024-01-01T00:00:00Z', 'day'), day.diff('2020-02-29T00:00:00Z', 'year', true)],
    compared: [day.isBefore('2024-03-01'), day.isSame('2024-02-29T23:00:00Z', 'day')],
    parsed: dayjs.utc('31/12/2023 05:06', 'DD/MM/YYYY HH:mm').valueOf(),
    invalid: dayjs('nonsense').isValid(), relative: [day.from(dayjs.utc('2024-03-05')), dayjs.duration(100, 'minutes').humanize()],
    local: dayjs('2024-07-01 00:00').format(), json: day,
  };
};
