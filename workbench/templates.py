"""What customers of an imaginary shop for office equipment write to its support desk.

Facts such as {order} and {browser} are filled in for each ticket, in workbench/tickets.py.
"""

from dataclasses import dataclass

from .pastes import (
    Paste,
    browser_console,
    device_log,
    diary,
    inventory,
    mail_thread,
    order_list,
    people,
    pings,
    settings,
    statement,
    table_rows,
    traceback,
    tracking,
    webhooks,
)


@dataclass(frozen=True)
class Template:
    subjects: list[str]  # one of them
    message: str  # each paragraph becomes one line
    note: str  # what an agent notes down, sooner or later
    paste: Paste | None = None  # what stands below the message


GREETINGS = [
    "Hello,",
    "Hi,",
    "Hi there,",
    "Hello everybody,",
    "Dear support team,",
    "Hello {agent},",
    "Hi {agent},",
    "",
    "",
]

CLOSINGS = [
    "Thanks,\n{first_name}",
    "Thank you!\n{name}, {city}",
    "Kind regards\n{name}",
    "Best wishes,\n{first_name}",
    "Have a good day,\n{first_name}",
    "Many thanks for your help\n{name}\ncustomer {customer_id}",
    "{name}\nSent from my phone",
    "",
]

ASIDES = [
    "I am in the office in the mornings. After that you reach {colleague}.",
    "{colleague} has written to you as well, I believe. One answer for both of us is enough.",
    "From {due} on our office is closed for a week. Please don't wonder if nobody answers then.",
    "Please answer by mail. Our telephone is on the list of things that don't work, too.",
    "By the way, the {liked_product} that we bought in {month} is a joy. Just so that you hear "
    "something nice as well.",
    "If you need anything from me, our customer number is {customer_id} and the order was {order}.",
    "It is the first time that I write to you. I hope that this is the right place.",
    "Our last talk with you has the reference {reference}, in case that helps.",
    "I have put {colleague} in copy, who looks after our devices in {city}.",
    "The address in your files is still the old one, by the way. We are in {city} now.",
]

TEMPLATES = [
    # Orders and parcels
    Template(
        [
            "Where is order {order}?",
            "Parcel has not moved since {day}",
            "Order {order}: the parcel travels in circles",
        ],
        """
        Our order {order} should have been in {city} on {date}. The tracking page shows something
        new every day, but it does not seem to come any closer.

        Here is what it says so far. Can you see more than we can?
        """,
        "Asked the carrier to search for it (reference {reference}). If it has not turned up by "
        "{due}, we send order {order} once more.",
        tracking,
    ),
    Template(
        [
            "Wrong item in order {order}",
            "We got a {other_product} instead of a {product}",
            "Somebody else's parcel, I think",
        ],
        """
        Today a parcel came for order {order}. We were looking forward to a {product}, but in the
        box there is a {other_product}, and the delivery note is not ours either.

        We keep it in its box for now. So that you can compare, this is what we had ordered:
        """,
        "Mixed up when packing. Return label sent to {name}, the {product} leaves the warehouse "
        "on {due}.",
        order_list,
    ),
    Template(
        [
            "Order {order} is not complete",
            "Some pieces are missing: {order}",
            "Missing from our delivery: {product}",
        ],
        """
        The delivery for {order} came in three boxes, and nobody signed for a fourth. We have
        counted twice: the {product} is missing, and a few of the small parts too.

        This is the whole list. All that we did get is ticked off on paper here.
        """,
        "The fourth box stood in the depot in {city}. It comes on {due}; {colleague} knows.",
        order_list,
    ),
    Template(
        [
            "{product} arrived with a dent",
            "Damaged in transport: order {order}",
            "Box looks as if something sat on it",
        ],
        """
        The {product} from order {order} came on {day}, and its box was torn on one side. It works,
        but there is a dent as long as my finger. The driver saw it and noted it down.

        Would you rather replace it or take something off the price? Both is fine with us.
        """,
        "Took a tenth off the price of {order}, as agreed with {name} by telephone. Nothing "
        "to send back.",
    ),
    Template(
        [
            "New delivery address for {order}",
            "Please send {order} to {city}",
            "We are moving! New address",
        ],
        """
        We move on {due}, and order {order} will not be here before that. Please send it to our new
        office in {city}, second floor. The lift comes in the week after.
        """,
        "Address of {order} changed before it was packed. The driver knows about the lift.",
    ),
    Template(
        [
            "How do I return the {product}?",
            "Return of {order}",
            "Sending back a {product}, but the portal won't let me",
        ],
        """
        We would like to send back the {product} from order {order}. It is as good as new, it is
        only too large for the room. In the portal the button for returns is grey, although the
        month is not over yet.

        I asked about this before, and then it got lost in a long talk. The mails are below.
        """,
        "Return {reference} opened by hand: the portal counted from the day of the order, not "
        "from the day of delivery. Label sent.",
        mail_thread,
    ),
    Template(
        [
            "Refund for {order} has not arrived",
            "Still waiting for {amount}",
            "Where did our refund go?",
        ],
        """
        You wrote on {date} that {amount} for order {order} are on their way back to us. We have
        gone through our account line by line and cannot find them.

        To save you time, here are all movements that have to do with you:
        """,
        "The refund went to the old card. The bank sent it back; paid out again, {amount}, with "
        "reference {reference}.",
        statement,
    ),
    Template(
        [
            "Quote for our new office in {city}",
            "Prices for a larger order?",
            "Offer for {count} x {product} and more",
        ],
        """
        We open an office in {city} next spring, for about {count} people, and would like to buy
        all the equipment in one go. Could you make us an offer, with delivery in two parts?

        Below is what we believe we need. The prices are the ones that the shop shows today. I
        hope that there is some room.
        """,
        "Offer {reference} sent to {name}, valid until {due}. Asked sales to call {colleague}.",
        order_list,
    ),
    Template(
        [
            "Delivery day moved again",
            "Order {order}: third new date",
            "Can somebody promise us a day?",
        ],
        """
        For the third time a text message tells us that order {order} comes "a little later". Each
        time somebody here stays at home for it. We don't mind waiting, but we would like to know
        for how long.

        What has been said so far is below, for whoever takes this over.
        """,
        "Fixed date with the carrier: {due}, before {time}. Told {name}, and {colleague} too.",
        mail_thread,
    ),
    Template(
        [
            "Charged twice for {order}",
            "Two payments, one order",
            "{amount} too much on our card",
        ],
        """
        It seems that order {order} was paid twice: the shop showed an error, I pressed the button
        again, and both went through. The order is in the portal only once.

        You find both payments somewhere in this list, with all the others of this quarter:
        """,
        "Confirmed: two payments for {order}. {amount} goes back to the card within five days.",
        statement,
    ),
    # Invoices
    Template(
        [
            "Invoice {invoice} does not match the order",
            "Wrong tax on {invoice}",
            "Please correct invoice {invoice}",
        ],
        """
        Invoice {invoice} has arrived, and its total is {amount} higher than our order {order}. I
        believe that the tax was added to prices that had it already, but I may be wrong.

        Here are the lines as we have them. Please send a corrected invoice, our accounting closes
        the month on {due}.
        """,
        "Tax was added twice, {name} is right. Credit note sent and {invoice} written anew.",
        order_list,
    ),
    Template(
        [
            "Our reference is missing on {invoice}",
            "Purchase order number on invoices",
            "Accounting sends {invoice} back to me",
        ],
        """
        Our accounting only pays invoices that show our own reference. On {invoice} it should be
        {reference}. Could you add it, and remember it for the next ones?
        """,
        "{reference} added to {invoice}, and kept in the master data of {customer_id}.",
    ),
    Template(
        [
            "Open items: our list and yours",
            "Reminder for {invoice}, but it is paid",
            "Closing the month: {amount} left over",
        ],
        """
        You have sent us a reminder for {invoice}. As far as we can see, we paid it on {date}. In
        total we differ by {amount}, and I cannot find out why.

        Could you compare this with your side? It is everything since the last time we agreed.
        """,
        "Payment had the number of another invoice. Moved it to {invoice}; reminder taken back, "
        "apologies sent.",
        statement,
    ),
    Template(
        [
            "Card is declined at checkout",
            "Cannot pay for {order}",
            "Payment page says: try again later",
        ],
        """
        I want to pay for a {product}, and your payment page says "try again later" since {day}. My
        bank says that nobody asked them for anything. I tried {browser} and my phone.
        """,
        "A filter against fraud was too strict for {city}. Lifted for {customer_id}; {name} has "
        "paid {amount} since.",
    ),
    Template(
        [
            "Cancelled, but still charged",
            "Service plan ended in {month}, payments go on",
            "Please stop the service plan",
        ],
        """
        We ended the service plan for the {product} in {month}, and got a friendly mail that
        confirms it ({reference}). Since then you have taken {amount} each month all the same.

        Please stop that and pay back what was too much. Here are the payments:
        """,
        "The plan was ended, its direct debit was not. Stopped; three months go back, "
        "{amount} each.",
        statement,
    ),
    # Accounts and the portal
    Template(
        [
            "Cannot log in since {day}",
            "Login page comes back again and again",
            "Portal throws me out after a minute",
        ],
        """
        Since {day} I cannot work in the portal. I type in my name and password, see my orders for
        a second, and then I am back at the login page. {browser} on {system}, nothing has changed
        here that I know of.

        A friend told me to open the console of the browser and to send you what stands in there:
        """,
        "An old cookie from before the move to the new login. Deleting it helped; {name} is in.",
        browser_console,
    ),
    Template(
        [
            "No mail to reset my password",
            "Password reset for {customer_id}",
            "Locked out",
        ],
        """
        I have asked for a new password three times since {day}, and no mail comes. It is not in
        the spam folder either. My account is {customer_id}. Can you set it by hand?
        """,
        "The mail server of {name} held our mails back. Called, checked three orders, sent a link "
        "that is good for an hour.",
    ),
    Template(
        [
            "New colleagues need accounts",
            "Please add our new users",
            "Accounts for our team in {city}",
        ],
        """
        Our team in {city} grows, and all of these people need an account for the portal. They
        should be able to order for up to {amount} without asking me. {colleague} should approve
        the rest.

        The list, as our human resources gave it to me:
        """,
        "Accounts created and welcome mails sent. Limit is {amount}; {colleague} approves above.",
        people,
    ),
    Template(
        [
            "These people have left us",
            "Please close old accounts",
            "Cleaning up our users before the audit",
        ],
        """
        On {due} we have an audit, and I noticed that many of our accounts in the portal belong to
        people who have moved to other tasks. Please take away their right to order. What they
        have ordered should stay visible.

        It is a long list, sorry. The date is the day from which it should hold.
        """,
        "All of them set to read only from the given days. Sent {name} a record for the audit, "
        "{reference}.",
        people,
    ),
    Template(
        [
            "New phone, no codes any more",
            "Two-factor login: phone is gone",
            "My phone went swimming",
        ],
        """
        My phone fell into a lake on {date}, and with it the app that makes the codes for the
        login. The paper with the spare codes is in a safe place. Nobody knows where.

        {colleague} can tell you that it is really me. Could you send me a new start code?
        """,
        "{colleague} confirmed by telephone. Second factor of {customer_id} taken off until {due}.",
    ),
    Template(
        [
            "Empty page in {browser}",
            "Orders page stays white",
            "Portal is blank after your update",
        ],
        """
        After what you call a small improvement the page with our orders stays white, in {browser}
        on {system}. In the other browser that I have it works, but that one prints badly.

        This is what the console says while I look at the white page:
        """,
        "Known: happens with more than 500 orders. Fixed in the release of {due}; {name} filters "
        "by year until then.",
        browser_console,
    ),
    Template(
        [
            "Export ends in the middle",
            "Only part of our orders in the export",
            "CSV file breaks off",
        ],
        """
        The export of our orders breaks off. The portal promises {count} rows more than there are
        in the file, and the last one is cut in half. I tried it in the morning and again at
        {time}, with the same end.

        I paste the last part of the file here, so that you can see where it stops:
        """,
        "The export ran into its time limit. Made one by hand for {name} and opened {reference} "
        "for the developers.",
        table_rows,
    ),
    Template(
        [
            "Import refuses our file",
            '"Row {count} is not valid", but why?',
            "Cannot import our list of orders",
        ],
        """
        We want to import what we ordered from other shops, so that everything is in one place. The
        portal says "row {count} is not valid" and nothing else. That row looks like all the others
        to me.

        Is it the date? The names of the cities? Here is the beginning of the file:
        """,
        "The file had a semicolon inside a city. Put quotes around it, and the import went "
        "through. Asked for a clearer message, {reference}.",
        table_rows,
    ),
    Template(
        [
            "Portal is very slow today",
            "Everything takes a minute in {city}",
            "Slow since {day}, only in our office",
        ],
        """
        Since {day} the portal needs a minute for each click here in {city}. From home it is quick,
        with the same computer. Other web sites are quick in the office as well.

        Our administrator is on holiday, but before she left she taught me this command:
        """,
        "A provider near {city} had trouble from {day} on. Quick again since this morning, {name} "
        "confirms it.",
        pings,
    ),
    Template(
        [
            "Who may approve orders?",
            "I can see prices, {colleague} cannot",
            "Rights in the portal, once more",
        ],
        """
        {colleague} should see prices and approve orders for {city}, and I should not have to. In
        the portal it is the other way round, whatever I set. I believe that one of us is the
        administrator, and we would both like to know who.

        We had a long exchange about it, from which I did not get wiser:
        """,
        "Both had half of the role. {colleague} is the administrator now, {name} has all rights to "
        "read.",
        mail_thread,
    ),
    # Devices
    Template(
        [
            "{device} offline after the update",
            "Update stops at {count} %",
            "{device} does not come back",
        ],
        """
        Last night our {device} ({serial}) updated itself. Since then it shows "please wait", and
        it is very patient about it. Switching it off changes nothing.

        I could copy its log before the network went away:
        """,
        "The package was broken on one of our servers. Sent {name} the file and the steps for a "
        "USB stick. It runs, version {version}.",
        device_log,
    ),
    Template(
        [
            "{device}: fault comes and goes",
            "We have kept a diary about the {device}",
            "{device} in {city}, every few hours",
        ],
        """
        The {device} (serial number {serial}) has a fault that only shows when nobody from your
        side looks. In {month} a technician was here, and of course all was well.

        So we have written down what happens and what we tried:
        """,
        "The diary shows it: always after standby. Turned off the deep sleep from afar; {name} "
        "watches it until {due}.",
        diary,
    ),
    Template(
        [
            "Coffee machine says E{count}",
            "No coffee in {city}, please help",
            "Urgent (coffee)",
        ],
        """
        Our coffee machine C9 says E{count} and makes nothing but hot water. We are a whole
        floor, and by now everybody has had an idea. I don't want to exaggerate, but it is quiet
        here.

        What we have tried, so that you need not ask:
        """,
        "E{count} is the valve behind the tank. Sent one to {city} by express, {colleague} can fit "
        "it without tools.",
        diary,
    ),
    Template(
        [
            "Standing desk goes up by itself",
            "Desk S160 moves at night",
            "Our desk has a will of its own",
        ],
        """
        One of our standing desks ({serial}) drives to its highest position, mostly when nobody sits
        there. In the morning we find it up, with the lamp against the ceiling. Nobody is hurt, the
        plant has lost a leaf.

        We have watched it for some days:
        """,
        "The button hangs in its lowest setting. New handset sent to {name}, order {order}. Lock "
        "turned on until it is there.",
        diary,
    ),
    Template(
        [
            "Scanner does not reach our folder",
            "Our scans vanish on their way",
            "D40 scans, but nothing arrives",
        ],
        """
        The document scanner D40 on the second floor says that it has sent each scan, and in the
        folder there is nothing since {date}. On {day} we moved the folder to another server, but
        the name has stayed the same.

        Below is the log from its web page. I have only taken out our passwords:
        """,
        "It still had the address of the old server. Gave {name} the steps; {count} scans came "
        "out of its memory at once.",
        device_log,
    ),
    Template(
        [
            "Router R5 loses the connection",
            "No network for some seconds, all day",
            "Calls break off in {city}",
        ],
        """
        About every ten minutes our network is gone for a moment. Mails don't mind, but calls break
        off, and {colleague} has to start each meeting three times. The router R5 ({serial}) shows
        a green light all the time.

        I let this run for a while. You can see the holes:
        """,
        "Two routers shared a channel. Moved theirs to another one by remote, version {version}. "
        "No holes since {day}.",
        pings,
    ),
    Template(
        [
            "Print jobs hang in the queue",
            "Printing stops after the first job",
            "Printer waits, and nobody knows for what",
        ],
        """
        Since {day} everything that we send to the laser printer P31 waits in its queue. When we
        delete the first job, the next one hangs. {count} jobs are in there by now, the oldest is a
        birthday card.

        The log of that morning:
        """,
        "Its memory was full of old jobs. Emptied it together with {name}, and set the limit to a "
        "week. The card was printed.",
        device_log,
    ),
    Template(
        [
            "Headset H3 crackles in calls",
            "{colleague} sounds like a radio",
            "Noise on all {count} headsets",
        ],
        """
        Our new headsets crackle after a while. It does not happen at once, which makes it hard to
        show to anybody. We use them with {system}, most of us in {browser}.

        {colleague} has taken notes during one week:
        """,
        "Happens with version {version} of the dongle only. Update sent to {name}; two headsets "
        "replaced.",
        diary,
    ),
    Template(
        [
            "Settings gone after the move",
            "How do we get our settings back?",
            "{device}: everything is at default",
        ],
        """
        We moved to {city}, and since then our {device} has forgotten who we are. Luckily
        {colleague} had printed the settings in {month}, and has now typed them in for you.

        Can you load these into the device ({serial}) from your side? It would take us days.
        """,
        "Loaded the profiles into {serial} over night. Two of them had the same number; asked "
        "{colleague} which one is right.",
        settings,
    ),
    Template(
        [
            "Service plan for all our devices",
            "Which of these are still covered?",
            "List of devices in {city}",
        ],
        """
        We would like one service plan for everything, instead of many small ones that all end
        on different days. {colleague} has walked through the house and listed what we have.

        Could you tell us which devices are still covered, and what the rest would cost?
        """,
        "One plan for all of them from {due} on, {amount} a month. Offer {reference} sent to "
        "{name}.",
        inventory,
    ),
    # Programs of customers
    Template(
        [
            "Webhooks come twice",
            "Same event, two deliveries",
            "Order {order} was booked twice by your webhook",
        ],
        """
        Since {date} we get many of your webhooks two or three times. Our program books each of
        them, so order {order} is in our system more than once. I know that we should look at the
        id, and we will. But has something changed on your side?

        Here is what came in this morning, one event a line:
        """,
        "They answer after 12 seconds, we wait for 10. Explained it to {name}; they now answer "
        "first and work later.",
        webhooks,
    ),
    Template(
        [
            "Our nightly sync fails",
            "Errors from the orders API since {day}",
            "Sync of {date} did not finish",
        ],
        """
        Our nightly program that reads orders from your API fails since {day}, not always at the
        same place. We changed nothing, and nobody here dares to: the person who wrote it has
        moved to {city}.

        This is what it left in our mailbox. Does it mean anything to you?
        """,
        "Over the limit of requests since they have more orders. Raised it for {customer_id} and "
        "sent {name} the page on paging.",
        traceback,
    ),
    Template(
        [
            "All times are one hour off",
            "Report shows orders from tomorrow",
            "Time zone in the export",
        ],
        """
        In the report for {month} the times of our orders are one hour off. Orders from late in the
        evening land on the next day, and then our totals for the day don't match those of the
        shop.

        Is there a setting that I have missed? Some rows to compare with:
        """,
        "The report counts in UTC. Showed {name} the setting, and asked for a hint beside it, "
        "{reference}.",
        table_rows,
    ),
    # Everything else
    Template(
        [
            "An idea for the portal",
            "Wish: keep my filter in the list of orders",
            "Could the list remember my filter?",
        ],
        """
        It would help us a lot if the list of orders remembered the filter from last time. I set it
        to {city} every morning, and every morning it asks me again. {colleague} counted: {count}
        clicks a week.

        We spoke about it before, and you asked me to send it all in one mail. So here it is:
        """,
        "Added the voice of {name} to {reference}, it is the 14th. No promise, but it is being "
        "talked about.",
        mail_thread,
    ),
    Template(
        [
            "Thank you!",
            "Just a thank you to {agent}",
            "Order {order}: well done",
        ],
        """
        No problem this time. The {product} came on {day}, a day early, and {agent} had answered
        all our questions before. {colleague} says that it is the first one that never beeps.
        """,
        "Passed on to {agent}, who was very pleased. Order {order} is done.",
    ),
    Template(
        [
            "What do you know about us?",
            "Copy of my personal data, please",
            "Request about our data: {customer_id}",
        ],
        """
        I would like to know which personal data you keep about me, for how long, and who else gets
        to see them. My account is {customer_id}, since {month}. A file by mail is enough.
        """,
        "Identity checked, file {reference} made and sent to {name}. The due day was {due}.",
    ),
    Template(
        [
            "Training for the {device}?",
            "Is there a course for beginners?",
            "Who can show us the {device}?",
        ],
        """
        We are {count} people, and since {date} we have a {device} that can do more than we can. Do
        you offer something like an hour on the screen, in English? Any morning but {day} would do.
        """,
        "Booked {name} and the others for the course on {due}, at {time}.",
    ),
]
