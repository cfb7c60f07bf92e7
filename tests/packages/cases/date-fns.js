const fns = require('date-fns');
const { de } = require('date-fns/locale');

module.exports = () => {
  const date = new Date(Date.UTC(2024, 1, 29, 12, 34, 56));
  return {
    formatted: [fns.format(date, "yyyy-MM-dd'T'HH:mm:ss"), fns.format(date, 'PPPP', { locale: de }), fns.format(date, 'do MMM, QQQ, I')],
    added: [fns.addMonths(date, 12), fns.addBusinessDays(date, 3), fns.endOfMonth(date), fns.startOfWeek(date, { weekStartsOn: 1 })],
    diff: [fns.differenceInDays(date, new Date(0)), fns.differenceInCalendarMonths(date, new Date(0))],
    distance: [fns.formatDistance(date, new Date(0)), fns.formatDistance(date, fns.addHours(date, 5), { addSuffix: true, locale: de })],
    parsed: [fns.parse('31.12.2023', 'dd.MM.yyyy', new Date(0)), fns.parseISO('2024-02-30'), fns.isValid(fns.parseISO('2024-02-30'))],
    interval: fns.eachDayOfInterval({ start: new Date(0), end: new Date(2 * 86400000) }).length,
    compared: [fns.isLeapYear(date), fns.isWeekend(date), fns.max([date, new Date(0)])], iso: fns.formatISO(date),
    duration: fns.formatDuration(fns.intervalToDuration({ start: 0, end: 3723000 })),
  };
};
