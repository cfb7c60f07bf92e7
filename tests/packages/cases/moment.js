const moment = require('moment');
require('moment/locale/fr');

module.exports = () => {
  moment.locale('en');
  const time = moment.utc('2024-02-29T12:34:56.789Z');
  return {
    formatted: [time.format(), time.format('dddd, MMMM Do YYYY, h:mm:ss a'), time.clone().locale('fr').format('LLLL')],
    math: [time.clone().add(1, 'y').format('L'), time.clone().endOf('quarter').toISOString(), time.clone().subtract(36, 'h').unix()],
    diff: [time.diff(moment.utc(0), 'weeks'), moment.duration(3661, 's').humanize(), moment.duration('P1Y2M3DT4H').asDays()],
    parsed: [moment.utc('12-25-1995', 'MM-DD-YYYY').valueOf(), moment('x', 'YYYY', true).isValid(), moment.utc('2024-W09-4').format('YYYY-MM-DD')],
    relative: time.from(moment.utc('2024-03-03')), calendar: time.calendar(moment.utc('2024-03-01')),
    is: [time.isLeapYear(), time.isBetween('2024-01-01', '2024-12-31')], object: time.toObject(),
  };
};
